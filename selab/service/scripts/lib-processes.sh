#!/bin/sh
# Included by start.sh and stop.sh, which have set `unit`.

# report: prints what systemd says about the unit's main process, after `show` of RESULT.
RESULT=Result,ExecMainCode,ExecMainStatus
report() {
  echo "result $(value Result)"
  echo "code $(value ExecMainCode)"
  echo "status $(value ExecMainStatus)"
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
