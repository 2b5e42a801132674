#!/bin/sh
# Restores the mode from before the run and disarms the guard. Does nothing if no run has changed the mode.
#
# Arguments: none.
# Prints: nothing.
# Exit codes: 1 the mode was not set.
# Files: reads and empties /run/selab/mode; writes `off` to /run/selab/guard, or `rest` if the guest itself
#   enforces.

. ./lib-mode.sh
[ -s /run/selab/mode ] || exit 0
read -r before </run/selab/mode
set_mode "$before"
: >/run/selab/mode
[ -p /run/selab/guard ] || exit 0
[ "$before" = 0 ] && order=off || order=rest
echo "$order" 1<>/run/selab/guard
