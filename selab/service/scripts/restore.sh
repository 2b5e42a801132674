#!/bin/sh
# Restores the units that runs have started: those that were active before are started again, and the others are
# stopped. Does nothing if there are none. The labels of the guest's files must be restored by then.
#
# Arguments: none.
# Prints: nothing; on standard error the units that could not be restored, each after the reason.
# Exit codes: 1 a unit could not be restored; it is not tried again.
# Files: removes /run/selab/services/NAME and /run/selab/labels-NAME.

failed=''
for record in /run/selab/services/*; do
  [ -e "$record" ] || continue
  unit=${record##*/} state=''; read -r state <"$record"
  if [ "$state" = active ]; then
    systemctl reset-failed -- "$unit" 2>/dev/null
    timeout 120 systemctl restart -- "$unit" || failed="$failed $unit"
  else
    # A transient unit that has ended is unknown, which is no failure: systemctl then ends with 5.
    timeout 120 systemctl stop -- "$unit" || [ $? = 5 ] || failed="$failed $unit"
    systemctl reset-failed -- "$unit" 2>/dev/null
  fi
  rm -f "$record" "/run/selab/labels-$unit"
done
[ -z "$failed" ] || { echo "not restored:$failed" >&2; exit 1; }
