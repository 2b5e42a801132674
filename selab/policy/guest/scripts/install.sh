#!/bin/sh
# Installs policy packages in the module store in one transaction, and removes the packages' directory.
# semodule then loads what it has built, which is no longer the policy that selab loaded.
#
# Arguments: $1 the directory of the packages; $2 the priority; from $3 the names of the packages.
# Prints: what semodule prints.
# Exit codes: those of semodule; 3 also if there is no such directory.
# Files: removes /run/selab/loaded.

directory=$1 priority=$2; shift 2
rm -f /run/selab/loaded
cd "$directory" || exit 3
LC_ALL=C semodule -X "$priority" -i "$@"; status=$?
rm -rf "$directory"
exit $status
