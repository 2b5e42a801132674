#!/bin/sh
# Waits until the removal of containers that end.sh has begun is over.
#
# Arguments: none.
# Prints: why the removal failed, or nothing.
# Exit codes: 0.
# Files: empties /run/selab/removal, so that a failure is reported once.

[ -e /run/selab/removal ] || exit 0
flock -w 110 /run/selab/removal cat /run/selab/removal || echo "the removal has not ended"
: >/run/selab/removal
