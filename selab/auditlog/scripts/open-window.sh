#!/bin/sh
# Marks the beginning of a window in the audit log.
#
# If no audit daemon runs and the kernel has lost records, its queue for a daemon is full and it loses each
# further record: this script then starts the daemon if the guest starts it at boot. If it still does not run,
# the kernel prints the records and the journal stores them; the kernel's rate limit for its messages is
# switched off until restore-ratelimit.sh restores it.
#
# Arguments: $1 the mark.
# Prints: the kernel's audit status; `log INODE SIZE` if there is a log; without a daemon also `cursor
#   CURSOR`, the end of the journal, and `ratelimit SECONDS`, the limit from before.
# Exit codes: 3 the kernel does not report its audit status; 4 the mark was not set.

status=$(auditctl -s) || exit 3
case "
$status
" in *"
pid 0
"*)
  case "
$status
" in *"
lost 0
"*) ;; *)
    systemctl -q is-enabled auditd && {
      systemctl reset-failed auditd; systemctl start auditd || service auditd start
    } >/dev/null 2>&1
    status=$(auditctl -s) || exit 3 ;;
  esac ;;
esac
echo "$status"
log=/var/log/audit/audit.log; ratelimit=/proc/sys/kernel/printk_ratelimit; limit=
[ -e "$log" ] && stat --format 'log %i %s' "$log"
case "
$status
" in *"
pid 0
"*)
  cursor=$(journalctl --lines=1 --show-cursor --quiet --output=cat | sed -n 's/^-- cursor: //p')
  if [ -n "$cursor" ]; then
    limit=$(cat "$ratelimit")
    echo "cursor $cursor"; echo "ratelimit $limit"
    echo 0 >"$ratelimit"
  fi ;;
esac
auditctl -m "$1" && exit 0
[ -z "$limit" ] || echo "$limit" >"$ratelimit"
exit 4
