#!/bin/sh
# Removes a container and everything that belongs to it.
#
# Arguments: $1 the container's name; $2 its main process; $3 the runtime.
# Prints: the lines of lib-labels.sh.
# Exit codes: those of the runtime.
# Files: removes /run/selab/containers/NAME, /run/selab/labels-NAME and /run/selab/cid-NAME.

. ./lib-labels.sh
labels "$2" "$1"
"$3" rm -f -v "$1" >/dev/null; status=$?
rm -f "/run/selab/containers/$1" "/run/selab/labels-$1" "/run/selab/cid-$1"; rm -rf "/var/lib/selab/runs/$1"
exit $status
