#!/bin/sh
# Ends containers: reads their labels, begins to remove them, and waits until none of their processes is left.
#
# The removal goes on afterwards, because a runtime needs longer for it than for the end of the processes, after
# which nothing of a container can be denied any more. await-removal.sh waits for it.
#
# Arguments: $1 the runtime; $2 its words that remove containers, separated by spaces; $3 the name of the
#   containers' network and of the directory of the volumes that they share, or an empty string for a single
#   container; then, for each container, its name and its main process, those that use another one's namespaces
#   first.
# Prints: for each container the lines of lib-observe.sh; then `killed NAME` for each whose processes were left
#   when the runtime had removed it: a policy may keep the runtime from them. This script has killed them.
# Exit codes: 4 processes are left; else those of the runtime.
# Files: /run/selab/removal is locked while containers are removed, and then holds why that failed, or nothing.
#   Removes /run/selab/containers/NAME, /run/selab/labels-NAME and /run/selab/cid-NAME.

. ./lib-labels.sh
. ./lib-observe.sh

# lives NAME,PID,PROCS: succeeds while a process of the container is left. Sets `name`, `pid` and `procs`.
lives() {
  name=${1%%,*} pid=${1#*,}; procs=${pid#*,} pid=${pid%%,*}
  [ -e "/proc/$pid" ] || { [ -e "$procs" ] && read -r process <"$procs"; }
} 2>/dev/null

# living: succeeds while a process of any container is left.
living() { for each in $containers; do lives "$each" && return; done; return 1; }

# finish NAME,PID,PROCS: kills the processes of the container if any is left, and prints that.
finish() {
  lives "$1" || return
  echo "killed $name"
  for process in $pid $(cat "$procs"); do [ ! -e "/proc/$process" ] || kill -9 "$process"; done 2>/dev/null
}

# attempt NAME...: lets the runtime remove the containers. In a session of its own, the runtime's program is not
# ended with the one in which this script runs. Sets `errors`. Exit code: the program's, or 124 if it hangs.
attempt() {
  # shellcheck disable=SC2086 # the words are separated by spaces
  errors=$(setsid -w timeout 100 "$engine" $words "$@" 2>&1 >/dev/null)
}

# dismiss NAME...: removes the containers, and prints why one of them is still there. Podman does not remove a
# container whose namespaces another one uses, so a second attempt may succeed after the first one.
dismiss() {
  attempt "$@" && return
  [ $? != 124 ] || { echo "$engine hangs"; return; }
  attempt "$@" && return
  : "${errors:=$engine rm ended with $?}"
  for name; do ! "$engine" inspect "$name" >/dev/null 2>&1 || { echo "$errors"; return; }; done
}

# remove NAME...: removes the containers with everything that belongs to them, and prints what went wrong.
remove() {
  problem=$([ $# = 0 ] || dismiss "$@")
  [ -z "$problem" ] || { echo "$problem"; return; }
  for name; do
    rm -f "/run/selab/containers/$name" "/run/selab/labels-$name" "/run/selab/cid-$name"
  done
  for name in "$@" $shared; do rm -rf "/var/lib/selab/runs/$name" 2>&1; done
  [ -n "$shared" ] && "$engine" network inspect "$shared" >/dev/null 2>&1 || return
  errors=$("$engine" network rm "$shared" 2>&1 >/dev/null) || echo "$errors"
}

engine=$1 words=$2 shared=$3; shift 3
names='' containers=''
while [ $# -gt 0 ]; do
  observe "$1" "$2"
  names="$names $1" containers="$containers $1,$2,$procs"
  shift 2
done
mkdir -p /run/selab; exec 9>/run/selab/removal; flock 9
echo "the removal was interrupted" >&9
# shellcheck disable=SC2086 # the names are words
( trap '' HUP; problem=$(remove $names 9>&-); printf '%s' "$problem" >/run/selab/removal ) </dev/null >/dev/null 2>&1 &
removal=$!; exec 9>&-
while living && kill -0 "$removal" 2>/dev/null; do sleep 0.1; done
living || exit 0
[ -s /run/selab/removal ] || for each in $containers; do finish "$each"; done
turns=50
while [ ! -s /run/selab/removal ] && [ $turns -gt 0 ] && living; do turns=$((turns - 1)); sleep 0.1; done
! living || { echo "processes of$names are left: $(cat /run/selab/removal)" >&2; exit 4; }
