#!/bin/sh
# Removes the containers that interrupted runs have left and an earlier container with the same name, then
# starts the container.
#
# Arguments: $1 the context that the container's processes should have; $2 the container's name; $3 the
#   runtime; $4 the file in which the runtime stores the main process's id, with ID in place of the
#   container's id; $5 the cgroups that the container may have, separated by spaces, with ID likewise; $6 the
#   names of the run's other containers, separated by spaces; from $7 the words after the runtime's name that
#   start the container.
# Prints: `pid NUMBER`, the main process or 0 if it has ended, and the lines of lib-labels.sh. The process id
#   is read from the runtime's own file, because `inspect` takes a second in an emulated guest.
# Exit codes: 124 the runtime hangs; 125 the runtime is not installed; else those of the runtime.
# Files: /run/selab/containers/NAME for each container that was started and not yet removed: `running
#   RUNTIME`, or `kept RUNTIME` if it remains after its run. The runtime writes the container's id to
#   /run/selab/cid-NAME.

# limited PROGRAM ARGUMENT...: runs the program for up to 100 seconds. A command of the runtime takes five to
# eight seconds in an emulated guest, and a minute if its disk is cold. Exit code: the program's, or 124 if it
# hangs.
limited() { timeout 100 "$@"; status=$?; [ $status != 124 ] || echo "$1 hangs" >&2; return $status; }
want=$1 name=$2 engine=$3 pid_file=$4 cgroups=$5 others=$6; shift 6
command -v "$engine" >/dev/null || { echo "$engine is not installed in the guest" >&2; exit 125; }
. ./lib-labels.sh
. ./lib-watch.sh
mkdir -p /run/selab/containers
for left in /run/selab/containers/*; do
  [ -e "$left" ] || continue
  old=${left##*/} state='' by=''; read -r state by <"$left"
  case " $others " in *" $old "*) continue ;; esac
  if [ "$old" = "$name" ] || [ "$state" != kept ]; then
    limited "${by:-docker}" rm -f -v "$old" >/dev/null 2>&1
    [ $status != 124 ] || { kill "$watcher"; echo "${by:-docker} hangs" >&2; exit 124; }
    rm -f "$left"
  fi
done
echo "running $engine" >"/run/selab/containers/$name"
id=$(limited "$engine" "$@") || {
  status=$?; kill "$watcher"
  [ $status = 124 ] || "$engine" rm -f -v "$name" >/dev/null 2>&1; rm -f "/run/selab/containers/$name"
  exit $status
}
pid=$(cat "${pid_file%ID*}$id${pid_file##*ID}" 2>/dev/null)
[ -n "$pid" ] && [ -e "/proc/$pid" ] || pid=$("$engine" inspect --format '{{.State.Pid}}' "$id")
echo "pid $pid"
labels "$pid" "$name"
