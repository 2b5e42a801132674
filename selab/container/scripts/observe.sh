#!/bin/sh
# Reads the labels of containers, and whether they still run, before any of them is removed.
#
# Arguments: $1 the runtime; then, for each container, its name and its main process.
# Prints: for each container `runs`, or `ended` and its exit code, and then the lines of lib-labels.sh.
# Exit codes: those of the runtime.

. ./lib-labels.sh
engine=$1; shift
while [ $# -gt 0 ]; do
  if [ "$2" != 0 ] && [ -e "/proc/$2" ]; then echo runs
  else code=$("$engine" inspect --format '{{.State.ExitCode}}' "$1") || exit; echo "ended $code"; fi
  ( labels "$2" "$1" )
  shift 2
done
