#!/bin/sh
# Prints a part of a container's log: what is new since the last call, up to a limit.
#
# Arguments: $1 the number of bytes that were already read; $2 the most bytes to print; from $3 the command
#   that prints the whole log.
# Prints: the part of the log, in which the container's output and its errors are in the order of the log.
# Exit codes: always 0.

offset=$1 limit=$2
shift 2
"$@" 2>&1 | tail -c "+$((offset + 1))" | head -c "$limit"
