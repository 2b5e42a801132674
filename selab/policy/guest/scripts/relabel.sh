#!/bin/sh
# Labels files by the file contexts that are installed in the guest.
#
# Arguments: the paths to label; those that do not exist are skipped.
# Prints: what restorecon prints.
# Exit codes: those of restorecon.

for place; do shift; [ -e "$place" ] && set -- "$@" "$place"; done
[ $# -eq 0 ] || restorecon -RF "$@"
