#!/bin/sh
# Creates the directory of a volume from a tar archive on standard input. An existing directory is replaced.
#
# Arguments: $1 the directory; $2 the type of its files, or an empty string to keep their types.
# Prints: nothing.
# Exit codes: those of the program that failed.

rm -rf "$1" && mkdir -p "$1" && tar -xf - -C "$1" && { [ -z "$2" ] || chcon -R -t "$2" "$1"; }
