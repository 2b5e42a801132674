#!/bin/sh
# Creates the network of a scenario's containers. One that an interrupted run has left is replaced.
#
# Arguments: $1 the network's name; $2 the runtime.
# Prints: what the runtime prints.
# Exit codes: 125 the runtime is not installed; else those of the runtime.

name=$1 engine=$2
command -v "$engine" >/dev/null || { echo "$engine is not installed in the guest" >&2; exit 125; }
"$engine" network create --label selab "$name" && exit
"$engine" ps --all --quiet --filter "network=$name" | while read -r each; do "$engine" rm -f -v "$each"; done
"$engine" network rm "$name" && "$engine" network create --label selab "$name"
