#!/bin/sh
# Finds the package managers of the guest.
#
# Arguments: none.
# Prints: the path of each of dnf and apt-get that the guest has.
# Exit codes: not 0 if it lacks apt-get.

for tool in dnf apt-get; do command -v $tool; done
