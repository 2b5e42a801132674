#!/bin/sh
# Finds the program that translates a policy package to CIL.
#
# Arguments: the paths at which distributions install it.
# Prints: the first path that is an executable file; nothing if no path is.
# Exit codes: 1 no path is an executable file.

for pp; do [ -x "$pp" ] && echo "$pp" && exit; done
