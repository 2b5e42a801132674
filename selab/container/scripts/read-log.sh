#!/bin/sh
# Prints a part of a container's log: what is new since the last call, up to a limit.
#
# Arguments: $1 the number of bytes that were already read; $2 the most bytes to print; from $3 the command
#   that prints the whole log.
# Prints: the part of the log, in which the container's output and its errors are in the order of the log.
# Exit codes: that of the command; always 0 if the log has more than the part, because the command is then
#   interrupted.

offset=$1 limit=$2
shift 2
exec 4>&1
outcome=$({
  { "$@" 2>&1 3>&- 4>&-; echo "$?" >&3; } |
    tail -c "+$((offset + 1))" |
    { head -c "$limit" >&4; [ "$(head -c 1 | wc -c)" -eq 0 ] || echo more >&3; }
} 3>&1)
case $outcome in *more*) exit ;; esac
exit "$outcome"
