#!/bin/sh
# Reports what was changed in the guest by hand since the last run.
#
# Arguments: $1 the path of the container runtime's settings.
# Prints: a word on a line for each change: `policy` if the kernel's counter of policy loads differs from the
#   recorded one; `settings` if the settings are newer than the last load; `mode` if the guest's mode differs
#   from the one that the last run restored.
# Exit codes: 0.
# Files: reads /run/selab/loaded and /run/selab/mode; reads and writes /run/selab/was.

at=; [ -e /run/selab/loaded ] && read -r _ at </run/selab/loaded
if [ -n "$at" ]; then
  [ "$(od -An -tu4 -j12 -N4 /sys/fs/selinux/status)" -eq "$at" ] || echo policy
  # shellcheck disable=SC3013 # dash and bash, the guests' shells, both have -nt
  [ ! "$1" -nt /run/selab/loaded ] || echo settings
fi
# An interrupted run has changed the mode.
[ ! -s /run/selab/mode ] || exit 0
was=; [ -e /run/selab/was ] && read -r was </run/selab/was
read -r mode </sys/fs/selinux/enforce
[ "$was" != "$mode" ] || exit 0
[ -z "$was" ] || echo mode
mkdir -p /run/selab; echo "$mode" >/run/selab/was
exit 0
