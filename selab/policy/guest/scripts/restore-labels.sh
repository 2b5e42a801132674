#!/bin/sh
# Restores the labels that label-files.sh has saved. Does nothing if there are none.
#
# Arguments: $1 the file with the saved labels; $2 the Python program that restores them (restore_labels.py).
# Prints: nothing.
# Exit codes: those of python3.

[ -e "$1" ] || exit 0
python3 -c "$2" "$1"
