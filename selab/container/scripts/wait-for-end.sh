#!/bin/sh
# Waits until a container ends, and the runtime has noticed it: until then, the exit code of its record is 0.
#
# Arguments: $1 its main process; $2 its name; $3 the limit in whole seconds; $4 the runtime.
# Prints: the exit code of the container, or a sentence if it still runs.
# Exit codes: 1 it still runs; 4 the runtime has not noticed its end; else those of the runtime.

pid=$1 name=$2 limit=$3 engine=$4
end=$(($(date +%s) + limit))
while [ -e "/proc/$pid" ] && [ "$(date +%s)" -lt "$end" ]; do sleep 0.2; done
[ -e "/proc/$pid" ] && { echo "it still runs after $limit seconds"; exit 1; }
for turn in 1 2 3 4 5 6 7 8 9 10; do
  [ "$turn" = 1 ] || sleep 0.5
  state=$("$engine" inspect --format '{{.State.Running}} {{.State.ExitCode}}' "$name") || exit
  case $state in "false "*) echo "${state#false }"; exit ;; esac
done
echo "$engine reports that $name still runs, but its main process has ended" >&2
exit 4
