#!/bin/sh
# Included by start.sh, keep.sh and remove.sh.

# labels PID NAME: prints a line `label CONTEXT` for each process that the container NAME has now, and for the
# one that lib-watch.sh recorded. PID is the container's main process, or 0 if the container has ended. With
# cgroup v1, the container's cgroup is below a controller.
labels() {
  pid=$1 file=/run/selab/labels-$2 group=""
  if [ "$pid" != 0 ] && [ -e "/proc/$pid/cgroup" ]; then
    while IFS=: read -r number controllers path; do
      [ "$path" != / ] || continue
      case $number,$controllers in 0,|*,pids) group=${group:-$path} ;; esac
    done <"/proc/$pid/cgroup"
  fi
  if [ -n "$group" ]; then
    procs=/sys/fs/cgroup$group/cgroup.procs; [ -e "$procs" ] || procs=/sys/fs/cgroup/pids$group/cgroup.procs
    [ ! -e "$procs" ] || while read -r each; do
      label=""; [ -e "/proc/$each/attr/current" ] && read -r label <"/proc/$each/attr/current"
      [ -z "$label" ] || echo "label $label"
    done <"$procs"
  fi
  label=""; [ -e "$file" ] && read -r label <"$file"
  [ -z "$label" ] || echo "label $label"
}
