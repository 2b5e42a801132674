#!/bin/sh
# Labels the directory $2$3 as if it were at the path $3.
#
# Arguments: $1 the file of file contexts; $2 the directory that counts as the root; $3 a path below it, which
#   begins with a slash.
# Prints: what setfiles prints.
# Exit codes: 5 the equivalences could not be copied; 9 the file of file contexts is missing; else those of setfiles.

. ./lib-equivalences.sh
[ -e "$1" ] || exit 9
equivalences "$1" || exit 5
setfiles -F -r "$2" "$1" "$2$3"
