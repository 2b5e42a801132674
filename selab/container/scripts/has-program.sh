#!/bin/sh
# Checks whether the guest has a program. It is a script because `command` is part of the shell.
#
# Arguments: $1 the program's name.
# Prints: its path.
# Exit codes: those of `command -v`: not 0 if the guest does not have it.

command -v "$1"
