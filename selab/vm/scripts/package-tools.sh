#!/bin/sh
# Finds the package managers of the guest.
#
# Arguments: the programs to look for.
# Prints: the path of each that the guest has.
# Exit codes: not 0 if the guest lacks the last one.

for tool; do command -v "$tool"; done
