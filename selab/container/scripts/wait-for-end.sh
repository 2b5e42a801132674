#!/bin/sh
# Waits until a container ends.
#
# Arguments: $1 its main process; $2 its name; $3 the limit in whole seconds; $4 the runtime.
# Prints: the exit code of the container, or a sentence if it still runs.
# Exit codes: 1 it still runs; else those of the runtime.

pid=$1 name=$2 limit=$3 engine=$4
end=$(($(date +%s) + limit))
while [ -e "/proc/$pid" ] && [ "$(date +%s)" -lt "$end" ]; do sleep 0.2; done
[ -e "/proc/$pid" ] && { echo "it still runs after $limit seconds"; exit 1; }
"$engine" inspect --format '{{.State.ExitCode}}' "$name"
