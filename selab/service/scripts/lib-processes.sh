#!/bin/sh
# Included by start.sh and stop.sh, which have set `unit`.

# show PROPERTY,...: asks systemd for properties of the unit, which `value` prints then.
show() { properties=$(systemctl show "--property=$1" -- "$unit"); }

# value PROPERTY: prints what systemd has answered; nothing if it has not reported the property.
value() {
  while IFS='=' read -r key rest; do [ "$key" != "$1" ] || printf '%s\n' "$rest"; done <<END
$properties
END
}

# report: prints what systemd says about the unit's main process, after `show` of RESULT.
RESULT=Result,ExecMainCode,ExecMainStatus
report() {
  echo "result $(value Result)"
  echo "code $(value ExecMainCode)"
  echo "status $(value ExecMainStatus)"
}

# members GROUP: prints the ids of the processes in the cgroup GROUP and in those below it. With cgroup v1, it
# is below systemd's own hierarchy.
members() {
  [ -n "$1" ] && [ "$1" != / ] || return 0
  for place in "/sys/fs/cgroup$1" "/sys/fs/cgroup/systemd$1"; do
    [ ! -d "$place" ] || find "$place" -name cgroup.procs -exec cat {} + 2>/dev/null
  done
}

# labels GROUP: prints a line `label CONTEXT` for each process in the cgroup GROUP, and for the one that start.sh
# recorded, and then a line `end`. `cat` reads a context in one system call, and only a context that is complete
# ends with a NUL or a newline (see container/scripts/lib-labels.sh).
labels() {
  processes=$(members "$1")
  set -- /dev/null "/run/selab/labels-$unit"
  for process in $processes; do set -- "$@" "/proc/$process/attr/current"; done
  cat "$@" 2>/dev/null | tr '\000' '\n' | while read -r label; do [ -z "$label" ] || echo "label $label"; done
  echo end
}
