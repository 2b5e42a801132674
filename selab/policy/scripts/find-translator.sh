#!/bin/sh
# Finds the program that translates a policy package to CIL.
#
# Arguments: the paths at which distributions have it.
# Prints: the first path that is an executable file; nothing if there is none.
# Exit codes: 1 there is none.

for pp; do [ -x "$pp" ] && echo "$pp" && exit; done
