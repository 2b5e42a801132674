#!/bin/sh
# Sets the mode of the guest for a run, records the mode from before the run, and arms the guard before a
# candidate enforces.
#
# The policy of an earlier run is never enforced: if the policy $2 is not loaded, this does nothing, and selab
# runs it again after the load.
#
# Arguments: $1 the mode, 0 or 1; $2 the digest of the policy that must be loaded if $1 is 1, or `any`; $3 the
#   seconds after which the guard acts; $4 `optional` if the guest need not have a guard.
# Prints: nothing.
# Exit codes: 1 the mode was not set; 8 the guard cannot be armed.
# Files: reads /run/selab/loaded; writes /run/selab/mode and /run/selab/guard.

. ./lib-mode.sh

# guarded: succeeds if the guard runs. Process ids are reused, so the process must also be in the service's
# control group.
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

if [ "$1" = 1 ]; then
  loaded=; [ -e /run/selab/loaded ] && read -r loaded _ </run/selab/loaded
  [ "$2" = any ] || [ "$loaded" = "$2" ] || exit 0
fi
mode
[ "$mode$1" = 00 ] || [ -s /run/selab/mode ] || echo "$mode" >/run/selab/mode
[ "$1" = 0 ] || { [ "$4" = optional ] && [ ! -e /usr/local/lib/selab/guard ]; } || arm "$3"
[ "$mode" = "$1" ] || set_mode "$1"
