#!/bin/sh
# Included by load.sh and flush-cache.sh.

# policyload: sets `count` to the kernel's counter of policy loads and boolean commits (see policy-state.sh).
# shellcheck disable=SC2046 # its words become the positional parameters
policyload() { set -- $(od -An -tu4 -j12 -N4 /sys/fs/selinux/status); count=$1; }

# known DIGEST CONTEXT...: checks that the policy in force knows each CONTEXT, then records that the policy
# DIGEST is in force.
known() {
  digest=$1; shift
  for context; do
    printf '%s' "$context" >/sys/fs/selinux/context 2>/dev/null ||
      { echo "$context is not a valid context" >&2; exit 6; }
  done
  echo "$digest $count" >/run/selab/loaded
}
