#!/bin/sh
# Waits until the main process of a unit ends.
#
# Arguments: $1 the main process; $2 the unit; $3 the limit in whole seconds.
# Prints: its exit code, or 128 and the number of the signal that ended it; or a sentence if it still runs.
# Exit codes: 1 it still runs; 2 systemd does not know how it ended.

pid=$1 unit=$2 limit=$3
end=$(($(date +%s) + limit))
while [ -e "/proc/$pid" ] && [ "$(date +%s)" -lt "$end" ]; do sleep 0.2; done
[ -e "/proc/$pid" ] && { echo "it still runs after $limit seconds"; exit 1; }
code=0 status=0
while IFS='=' read -r key value; do
  case $key in ExecMainCode) code=$value ;; ExecMainStatus) status=$value ;; esac
done <<END
$(systemctl show --property=ExecMainCode,ExecMainStatus -- "$unit")
END
# The codes are those of waitid(2): 1 it exited, 2 a signal killed it, 3 with a core dump.
case $code in
  1) echo "$status" ;;
  2|3) echo "$((128 + status))" ;;
  *) echo "systemd does not report how the service ended" >&2; exit 2 ;;
esac
