#!/bin/sh
# Starts a unit, or a command as a transient unit. A unit that is active is stopped first.
#
# A process of a unit is at first a copy of systemd, which then executes the program. The script waits until none
# of the unit's processes is such a copy. A unit may also end before the script reads its processes. The watcher
# begins before the unit starts, and searches the unit's cgroup for a process of the expected type, without a
# pause as soon as the cgroup exists.
#
# systemd labels the directories that it creates for a unit by the file contexts that are installed in the guest.
# So the script creates them before, with the labels of the candidates' contexts.
#
# Arguments: $1 the unit; $2 the type that its processes should have; $3 the file of the candidates' file contexts,
#   which may be missing; from $4 the words after `systemd-run` that start a transient unit of that name, or none.
# Prints: `invocation ID`, systemd's id of this start; `result WORD`, `code NUMBER` and `status NUMBER`, what
#   systemd says about the main process; `pid NUMBER`, the main process or another one of the unit, or 0 if all
#   have ended; and the lines of lib-processes.sh. If the unit did not start, there are no more lines after
#   `status`, and on standard error there are systemctl's message and the last lines of the unit's log.
# Exit codes: 1 the unit did not start; 3 the guest has no such unit; 4 the name is an alias of another unit; 5 the
#   unit cannot be stopped; 6 a directory of the unit cannot be created. The reason is on standard error.
# Files: /run/selab/services/NAME holds from here on what the unit was before.

unit=$1 domain=$2 contexts=$3; shift 3
. ./lib-unit.sh
. ./lib-processes.sh
DIRECTORIES=DynamicUser,RuntimeDirectory,StateDirectory,CacheDirectory,LogsDirectory
show "LoadState,Id,ActiveState,Slice,InvocationID,$DIRECTORIES" || exit
before=$(value InvocationID)
if [ $# -eq 0 ]; then
  [ "$(value LoadState)" = loaded ] || { value LoadState >&2; exit 3; }
  [ "$(value Id)" = "$unit" ] || { value Id >&2; exit 4; }
  slice=$(value Slice)
else slice=system.slice; fi
active=$(value ActiveState)
mkdir -p /run/selab/services
state=inactive
[ $# -gt 0 ] || case $active in active|activating|reloading|refreshing) state=active ;; esac
[ -e "/run/selab/services/$unit" ] || echo "$state" >"/run/selab/services/$unit"
case $active in inactive|failed) ;; *) timeout 100 systemctl stop -- "$unit" || exit 5 ;; esac
systemctl reset-failed -- "$unit" 2>/dev/null

# directories PLACE NAMES: creates the directories below PLACE. A name may end with `:` and a name for a link.
directories() {
  for name in $2; do
    directory=$1/${name%%:*}
    [ ! -e "$directory" ] || continue
    context=$(matchpathcon -n -m dir -f "$contexts" "$directory") && mkdir -p "$directory" &&
      chcon "$context" "$directory" || exit 6
  done
}
if [ $# -eq 0 ] && [ -e "$contexts" ]; then
  directories /run "$(value RuntimeDirectory)"
  # Those of a dynamic user are in directories that only systemd may create (systemd.exec(5)).
  if [ "$(value DynamicUser)" != yes ]; then
    directories /var/lib "$(value StateDirectory)"
    directories /var/cache "$(value CacheDirectory)"
    directories /var/log "$(value LogsDirectory)"
  fi
fi

file=/run/selab/labels-$unit
rm -f "$file"
place='' part='' rest=${slice%.slice}
while [ -n "$rest" ] && [ "$rest" != - ]; do
  part=$part${part:+-}${rest%%-*}
  place=$place/$part.slice
  case $rest in *-*) rest=${rest#*-} ;; *) rest='' ;; esac
done
( turn=0 hurry=0
  while [ $turn -lt 5000 ]; do
    there=0
    for procs in "/sys/fs/cgroup$place/$unit/cgroup.procs" "/sys/fs/cgroup/systemd$place/$unit/cgroup.procs"; do
      [ -e "$procs" ] || continue
      there=1
      while read -r each; do
        label=''; read -r label <"/proc/$each/attr/current"
        case $label in *:*:"$domain":*) echo "$label" >"$file"; exit ;; esac
      done <"$procs"
    done
    if [ $there = 1 ] && [ $hurry -lt 3000 ]; then hurry=$((hurry + 1))
    else turn=$((turn + 1)); sleep 0.03; fi
  done ) >/dev/null 2>&1 &
watcher=$!

if [ $# -eq 0 ]; then timeout 120 systemctl start -- "$unit"; else timeout 120 systemd-run "$@"; fi >/dev/null
started=$?
# are_copies: whether a process of the unit still executes systemd's own program.
are_copies() {
  manager=$(readlink /proc/1/exe) || return
  set --
  for each in $(members "$(value ControlGroup)"); do set -- "$@" "/proc/$each/exe"; done
  [ $# -gt 0 ] && readlink "$@" 2>/dev/null | grep -qxF -e "$manager" -e "${manager%/*}/systemd-executor"
}
show "ControlGroup,MainPID,InvocationID,$RESULT"
turn=0
while [ $started = 0 ] && [ $turn -lt 100 ] && are_copies; do
  turn=$((turn + 1)); sleep 0.05; show "ControlGroup,MainPID,InvocationID,$RESULT"
done
kill "$watcher" 2>/dev/null

invocation=$(value InvocationID) status=$(value ExecMainStatus)
echo "invocation $invocation"
report
# systemd itself ends a process that it cannot prepare or execute with a status from 200 to 243 (systemd.exec(5)).
if [ "$(value Result)" = exit-code ] && [ "$(value ExecMainCode)" = 1 ] &&
  [ "$status" -ge 200 ] && [ "$status" -le 243 ]; then started=1; fi
if [ $started != 0 ]; then
  [ "$invocation" = "$before" ] || journalctl --quiet --no-pager --output=cat --lines=5 "_SYSTEMD_INVOCATION_ID=$invocation" >&2
  [ $started != 124 ] || echo "it did not start within 120 seconds" >&2
  exit 1
fi
pid=$(value MainPID)
[ "${pid:-0}" != 0 ] || pid=$(members "$(value ControlGroup)" | head -n 1)
echo "pid ${pid:-0}"
labels "$(value ControlGroup)"
