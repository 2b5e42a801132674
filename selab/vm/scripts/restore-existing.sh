#!/bin/sh
# Restores the base policy of an existing host, and the mode from before the run if a run has changed it.
#
# Arguments: none.
# Prints: nothing.
# Exit codes: not 0 if the base policy could not be loaded, or if no run has changed the mode.
# Files: removes /run/selab/loaded; reads and empties /run/selab/mode.

load_policy && rm -f /run/selab/loaded || exit
[ -s /run/selab/mode ] && read -r mode </run/selab/mode &&
  printf '%s' "$mode" >/sys/fs/selinux/enforce && : >/run/selab/mode
