#!/bin/sh
# Included by start.sh, end.sh and keep.sh.

# complete_labels: prints `label CONTEXT` for each context on standard input that has an end: a NUL, which the
# kernel writes after a context (security/selinux/ss/services.c, context_struct_to_string), or a newline.
complete_labels() { tr '\000' '\n' | while read -r label; do [ -z "$label" ] || echo "label $label"; done; }

# labels PID NAME: prints a line `label CONTEXT` for each process that the container NAME has now, and for the
# one that lib-watch.sh recorded, and then a line `end`. PID is the container's main process, or 0 if the
# container has ended. Sets `procs`, the file with the processes of the container's cgroup, or an empty string
# without a cgroup. With cgroup v1, the cgroup is below a controller.
#
# `cat` reads a context in one system call. `read` of a shell asks for each byte, and a process that ends or
# executes another program meanwhile leaves a context that is cut, or mixed from two.
labels() {
  pid=$1 group="" procs=""
  if [ "$pid" != 0 ] && [ -e "/proc/$pid/cgroup" ]; then
    while IFS=: read -r number controllers path; do
      [ "$path" != / ] || continue
      case $number,$controllers in 0,|*,pids) group=${group:-$path} ;; esac
    done <"/proc/$pid/cgroup"
  fi
  set -- "/run/selab/labels-$2"
  if [ -n "$group" ]; then
    procs=/sys/fs/cgroup$group/cgroup.procs; [ -e "$procs" ] || procs=/sys/fs/cgroup/pids$group/cgroup.procs
    [ ! -e "$procs" ] || while read -r each; do set -- "$@" "/proc/$each/attr/current"; done <"$procs"
  fi
  cat "$@" 2>/dev/null | complete_labels
  echo end
}
