#!/bin/sh
# Empties the kernel's access vector cache if the policy that selab loaded last is still in force.
#
# A commit of unchanged booleans makes the kernel flush the cache (security_set_bools -> avc_ss_reset),
# without a policy load and without a moment in another mode.
#
# Arguments: $1 the digest of the policy that must be in force, or `any`; from $2 the contexts that must be
#   valid under it.
# Prints: nothing.
# Exit codes: 4 the kernel refused the commit; 5 the counter of policy loads did not go up by one; 6 a context
#   is not valid; 7 another policy is in force, and nothing was flushed.
# Files: reads and writes /run/selab/loaded; empties it if another policy is in force.

. ./lib-loaded.sh
policyload; before=$count
loaded='' at=''; [ -e /run/selab/loaded ] && read -r loaded at </run/selab/loaded
[ "$1" = any ] || { [ "$loaded" = "$1" ] && [ "$at" = "$before" ]; } || { : >/run/selab/loaded; exit 7; }
printf 1 >/sys/fs/selinux/commit_pending_bools || exit 4
policyload
[ "$count" -eq $((before + 1)) ] || { echo "policyload went from $before to $count" >&2; exit 5; }
known "$@"
