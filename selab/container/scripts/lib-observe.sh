#!/bin/sh
# Included by end.sh and keep.sh.
#
# lib-labels.sh must be included before, and `engine` be set, and `shared`, which is empty for a single container.

# observe NAME PID: prints `runs`, or `ended` if the main process PID is gone, with the exit code of a container
# that is one of several; then the lines of lib-labels.sh. Sets `procs`. Exit codes: those of the runtime.
observe() {
  if [ "$2" != 0 ] && [ -e "/proc/$2" ]; then echo runs
  elif [ -z "$shared" ]; then echo ended
  else code=$("$engine" inspect --format '{{.State.ExitCode}}' "$1") || exit; echo "ended $code"; fi
  labels "$2" "$1"
}
