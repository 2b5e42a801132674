#!/bin/sh
# Marks the end of a window in the audit log, waits until the log shows the mark, and prints the log since the
# window was opened.
#
# Arguments: $1 the mark; $2 the inode and $3 the size of the log when the window was opened; $4 the seconds
#   to wait for the mark; $5 the greatest number of bytes to print.
# Prints: the kernel's audit status; `mode` and the guest's mode; a line `window`; and the log. On standard
#   error `rotated-away` or `truncated` if a part of the window is lost.
# Exit codes: 4 the mark was not set.
# Files: /run/selab/window holds the log of the window, and /run/selab/window.said the text for standard
#   error, until they are printed.

mark=$1 inode=$2 offset=$3 wait=$4 max=$5
directory=/var/log/audit; log=$directory/audit.log; copy=/run/selab/window
[ -d /run/selab ] || mkdir -p /run/selab
auditctl -m "$mark" || exit 4
# The status is read while the mark is on its way.
auditctl -s

# since: prints the log since the window was opened. The file of that time may have been rotated: its inode
# identifies it, and the newer files follow it.
since() {
  # shellcheck disable=SC2046 # its words become the positional parameters
  set -- $(stat --format '%i %s' "$log")
  if [ "$1" = "$inode" ] && [ "$2" -ge "$offset" ]; then tail --bytes="+$((offset + 1))" "$log"; return; fi
  first=$(find "$directory" -maxdepth 1 -inum "$inode" -name 'audit.log*')
  if [ -z "$first" ]; then first=$log; offset=0; echo rotated-away >&2; fi
  number=${first##*audit.log}; number=${number#.}; number=${number:-0}
  [ "$(stat --format %s "$first")" -ge "$offset" ] || { echo truncated >&2; offset=0; }
  tail --bytes="+$((offset + 1))" "$first"
  while [ "$number" -gt 0 ]; do
    number=$((number - 1)); next=$log
    [ "$number" -gt 0 ] && next=$log.$number
    cat "$next"
  done
}
turns=$((wait * 10))
while [ "$turns" -gt 0 ]; do
  since 2>"$copy.said" | head --bytes="$max" >"$copy"
  grep -qaF -e "$mark" "$copy" && break
  turns=$((turns - 1)); sleep 0.1
done
read -r mode </sys/fs/selinux/enforce; echo "mode $mode"
echo window
[ -s "$copy.said" ] && cat "$copy.said" >&2
cat "$copy"; : >"$copy"
