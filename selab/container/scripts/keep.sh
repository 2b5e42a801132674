#!/bin/sh
# Marks a container that remains after its run.
#
# Arguments: $1 the container's name; $2 its main process; $3 the runtime.
# Prints: the lines of lib-labels.sh.
# Exit codes: 0.
# Files: writes /run/selab/containers/NAME.

. ./lib-labels.sh
labels "$2" "$1"
echo "kept $3" >"/run/selab/containers/$1"
