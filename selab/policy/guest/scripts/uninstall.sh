#!/bin/sh
# Removes a module from the module store. semodule then loads what it has built, which is no longer the policy
# that selab loaded.
#
# Arguments: $1 the priority; $2 the module's name.
# Prints: what semodule prints.
# Exit codes: those of semodule.
# Files: removes /run/selab/loaded.

rm -f /run/selab/loaded
LC_ALL=C semodule -X "$1" -r "$2"
