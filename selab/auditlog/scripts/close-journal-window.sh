#!/bin/sh
# Closes a window in a guest without an audit daemon, as close-window.sh does with one: the kernel prints its
# records, and the journal stores them.
#
# Arguments: $1 the mark; $2 the cursor of the journal at which the window begins; $3 the seconds to wait for
#   the mark; $4 the greatest number of bytes to print.
# Prints: the kernel's audit status; `mode` and the guest's mode; a line `window`; and the journal's entries
#   since $2 as JSON.
# Exit codes: 4 the mark was not set.

mark=$1 cursor=$2 wait=$3 max=$4
auditctl -m "$mark" || exit 4
since() {
  journalctl _TRANSPORT=kernel + _TRANSPORT=audit --after-cursor="$cursor" --quiet --all --output=json
}
turns=$wait
while [ "$turns" -gt 0 ]; do since | grep -qaF -e "$mark" && break; turns=$((turns - 1)); sleep 1; done
auditctl -s
echo "mode $(cat /sys/fs/selinux/enforce)"
echo window
since | head --bytes="$max"
