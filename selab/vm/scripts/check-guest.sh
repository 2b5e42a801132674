#!/bin/sh
# Checks that a run can work in the guest: the guest is in its own mode, so no interrupted run has left a
# candidate enforced, and the services that a run needs are active.
#
# Arguments: the services of the container runtimes; one that is not enabled may be inactive.
# Prints: a sentence that says what is wrong.
# Exit codes: 1 something is wrong.
# Files: reads /run/selab/mode.

read -r now </sys/fs/selinux/enforce; home=$now
[ -s /run/selab/mode ] && read -r home </run/selab/mode
[ "$now" = "$home" ] || { echo "the guest was left in another mode than its own"; exit 1; }
for service; do
  systemctl -q is-active "$service" || ! systemctl -q is-enabled "$service" ||
    { echo "$service does not run"; exit 1; }
done
systemctl -q is-active auditd || { echo "the audit daemon does not run"; exit 1; }
