#!/bin/sh
# Loads the base policy: what the next boot would load.
#
# Arguments: none.
# Prints: nothing.
# Exit codes: those of load_policy.
# Files: removes /run/selab/loaded.

rm -f /run/selab/loaded; load_policy
