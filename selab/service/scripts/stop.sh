#!/bin/sh
# Stops a unit, and removes it if it is transient, unless it remains after its run.
#
# Arguments: $1 the unit; $2 whether it remains (1) or not (0). In the first case, the next run restores it.
# Prints: `active WORD`, the unit's state before; `restarts NUMBER`, how often systemd has restarted it;
#   `result WORD`, `code NUMBER` and `status NUMBER`, what systemd says about the main process before it is
#   stopped; and the lines of lib-processes.sh.
# Exit codes: 5 the unit cannot be stopped, for the reason on standard error.
# Files: removes /run/selab/labels-NAME, and /run/selab/services/NAME unless the unit was active before the run.

unit=$1 remains=$2
. ./lib-unit.sh
. ./lib-processes.sh
show "ActiveState,ControlGroup,NRestarts,$RESULT" || exit
echo "active $(value ActiveState)"
echo "restarts $(value NRestarts)"
report
labels "$(value ControlGroup)"
[ "$remains" = 0 ] || exit 0
case $(value ActiveState) in
  inactive|failed) ;;
  *)
    timeout 100 systemctl stop -- "$unit" || {
      systemctl kill --signal=KILL -- "$unit"
      timeout 30 systemctl stop -- "$unit"
    } || exit 5 ;;
esac
systemctl reset-failed -- "$unit" 2>/dev/null
rm -f "/run/selab/labels-$unit"
state=''; { read -r state <"/run/selab/services/$unit"; } 2>/dev/null
[ "$state" = active ] || rm -f "/run/selab/services/$unit"
