#!/bin/sh
# Accepts the container runtime's settings as they are now: find-changes.sh no longer reports them.
#
# Arguments: none.
# Prints: nothing.
# Exit codes: those of touch.
# Files: /run/selab/loaded, whose time is set.

touch /run/selab/loaded
