#!/bin/sh
# Collects the facts about the guest for a support report.
#
# Arguments: the packages of the container runtimes.
# Prints: a line for each fact: its name, a tab, and its value. A fact that is unknown is left out.
# Exit codes: 0.

fact() {
  name=$1; shift
  value=$("$@" 2>/dev/null | tr -s '\t\n ' ' ')
  [ -z "$value" ] || printf '%s\t%s\n' "$name" "$value"
}
release() {
  # shellcheck source=/dev/null # each distribution has its own
  . /etc/os-release; echo "$PRETTY_NAME"
}
packages() {
  set -- "$@" selinux-policy selinux-policy-targeted selinux-policy-default container-selinux libsepol \
    policycoreutils secilc audit auditd
  if command -v rpm >/dev/null && rpm -q rpm >/dev/null; then rpm -q "$@" | grep -v 'not installed'
  else dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\n' "$@" | sed -n 's/^ii *//p'; fi
}
configured() { sed -n '/^SELINUX/p' /etc/selinux/config; sed -n '/^[a-z].*=/p' /etc/selinux/semanage.conf; }
cpu() { sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1; }
modules() { ls /var/lib/selinux/*/active/modules/400; }
fact 'guest' release
fact 'kernel' uname -srm
fact 'processor' cpu
fact 'packages' packages "$@"
fact 'SELinux configuration' configured
fact 'local policy modules' modules
fact 'Python in the guest' python3 --version
