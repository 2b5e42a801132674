#!/bin/sh
# Gives an armed guard more time.
#
# Arguments: $1 the number of seconds from now after which the guard acts.
# Prints: nothing.
# Exit codes: 1 no run has changed the mode, or there is no guard.
# Files: reads /run/selab/mode; writes /run/selab/guard.

[ -s /run/selab/mode ] && [ -p /run/selab/guard ] && echo "$1" 1<>/run/selab/guard
