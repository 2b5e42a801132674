#!/bin/sh
# Loads the kernel policy on standard input in one write, and proves that it is in force.
#
# Arguments: $1 the digest of the policy; from $2 the contexts that must be valid under it.
# Prints: nothing.
# Exit codes: 4 the kernel refused the policy; 5 the counter of policy loads did not go up by one; 6 a context
#   is not valid.
# Files: removes /run/selab/loaded before the load and writes it after the proof.

. ./lib-loaded.sh
policyload; before=$count
mkdir -p /run/selab && rm -f /run/selab/loaded
dd of=/sys/fs/selinux/load bs=64M iflag=fullblock status=none || exit 4
policyload
[ "$count" -eq $((before + 1)) ] || { echo "policyload went from $before to $count" >&2; exit 5; }
known "$@"
