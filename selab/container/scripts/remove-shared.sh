#!/bin/sh
# Removes what the containers of a scenario shared: their network, if there is one, and their volumes.
#
# Arguments: $1 the network's name, which is also that of the volumes' directory; $2 the runtime.
# Prints: what the runtime prints.
# Exit codes: those of the runtime.

rm -rf "/var/lib/selab/runs/$1"
"$2" network inspect "$1" >/dev/null 2>&1 || exit 0
"$2" network rm "$1"
