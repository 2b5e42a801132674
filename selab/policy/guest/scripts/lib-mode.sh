#!/bin/sh
# Included by switch-mode.sh and restore-mode.sh.

# mode: sets `mode` to the guest's mode. The file has no line end, so `read` never succeeds.
mode() { read -r mode </sys/fs/selinux/enforce; }

# set_mode MODE: sets the guest's mode and checks that the kernel has it.
set_mode() { printf '%s' "$1" >/sys/fs/selinux/enforce || exit; mode; [ "$mode" = "$1" ] || exit 1; }

# guarded: whether the guard runs. Its process id must be of a process in the service's control group: ids are
# used again.
guarded() {
  pid=; group=
  [ -e /run/selab/guard.pid ] && read -r pid </run/selab/guard.pid && read -r group <"/proc/$pid/cgroup"
  case $group in *selab-guard*) return 0 ;; esac; return 1
} 2>/dev/null

# arm SECONDS: arms the guard, and starts it first if it does not run. The pipe is opened for reading and
# writing: this cannot block.
arm() {
  guarded || {
    systemctl restart selab-guard; turns=50
    until guarded || [ $turns = 0 ]; do turns=$((turns - 1)); sleep 0.2; done
  }
  guarded || { echo "the service selab-guard does not run" >&2; exit 8; }
  echo "$1" 1<>/run/selab/guard
}
