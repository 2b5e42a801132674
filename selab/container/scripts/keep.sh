#!/bin/sh
# Marks containers that remain after their run, and reads their labels.
#
# Arguments: as those of end.sh.
# Prints: for each container the lines of lib-observe.sh.
# Exit codes: those of the runtime.
# Files: writes /run/selab/containers/NAME.

. ./lib-labels.sh
. ./lib-observe.sh
engine=$1 shared=$3; shift 3
while [ $# -gt 0 ]; do
  observe "$1" "$2"
  echo "kept $engine" >"/run/selab/containers/$1"
  shift 2
done
