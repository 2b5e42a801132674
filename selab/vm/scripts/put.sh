#!/bin/sh
# Writes standard input to a file, completely or not at all, and creates the directories above it.
#
# Arguments: $1 the absolute path of the file; $2 its mode, in octal; $3 the number of bytes; $4 a random
#   token for the name of the temporary file.
# Prints: nothing.
# Exit codes: 1 if fewer or more bytes arrived, or a command failed.

set -eu
case "$1" in */*) directory=${1%/*} ;; esac
[ -z "$directory" ] || [ -d "$directory" ] || mkdir -p -- "$directory"
part="$directory/.selab-$4"
trap 'rm -f -- "$part"' EXIT
cat >"$part"
[ "$(stat -c %s -- "$part")" = "$3" ] || { echo "the data arrived incomplete" >&2; exit 1; }
chmod -- "$2" "$part"
mv -fT -- "$part" "$1"
trap - EXIT
