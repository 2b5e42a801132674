#!/bin/sh
# Makes the directory of a volume anew from a tar archive on standard input.
#
# Arguments: $1 the directory; $2 the type of its files, or nothing to leave it as it is.
# Prints: nothing.
# Exit codes: those of the program that failed.

rm -rf "$1" && mkdir -p "$1" && tar -xf - -C "$1" && { [ -z "$2" ] || chcon -R -t "$2" "$1"; }
