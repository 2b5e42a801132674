#!/bin/sh
# Prints what the kernel reports about its mode and policy, and what selab loaded last.
#
# The status page of the kernel has five 32-bit words in the machine's byte order: version, sequence,
# enforcing, policyload, deny_unknown.
#
# Arguments: none.
# Prints: the mode (0 or 1), the counter of policy loads, and the content of /run/selab/loaded, on one line.
#   Only a line end is printed if SELinux is disabled.
# Exit codes: 3 the status page cannot be read.
# Files: reads /run/selab/loaded.

[ -e /sys/fs/selinux/status ] || { echo; exit 0; }
# The exit code of `set -- $(od ...)` is not that of od.
words=$(od -An -tu4 -j8 -N8 /sys/fs/selinux/status) || exit 3
loaded=; [ -e /run/selab/loaded ] && read -r loaded </run/selab/loaded
# shellcheck disable=SC2086 # its words become the positional parameters
set -- $words
echo "$1 $2 $loaded"
