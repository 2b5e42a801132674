#!/bin/sh
# Waits until a container is healthy.
#
# Arguments: $1 its main process; $2 its name; $3 the limit in whole seconds; $4 the runtime; from $5 the
#   command that succeeds in a healthy container; without it, the check of the image counts.
# Prints: on failure, the rest of a sentence about the container.
# Exit codes: 1 it is not healthy.

pid=$1 name=$2 limit=$3 engine=$4; shift 4
end=$(($(date +%s) + limit)) why=''
while :; do
  if [ $# -gt 0 ]; then
    why=$(timeout "$limit" "$engine" exec "$name" "$@" 2>&1) && exit 0
  else
    why=$("$engine" inspect --format '{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}' "$name" 2>&1)
    [ "$why" != healthy ] || exit 0
    [ "$why" != none ] || { echo "has no health check: write one in the scenario"; exit 1; }
  fi
  [ -e "/proc/$pid" ] || { echo "ended before it was healthy"; exit 1; }
  [ "$(date +%s)" -lt "$end" ] || break
  sleep 0.5
done
why=$(printf %s "$why" | tail -n 1 | head -c 200)
echo "was not healthy within $limit seconds${why:+: $why}"
exit 1
