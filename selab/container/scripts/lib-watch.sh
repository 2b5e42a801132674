#!/bin/sh
# Included by start.sh, which has set `want`, `name` and `cgroups`. Sets `watcher`, the process id of the
# watcher.
#
# A container may end before selab can inspect it. The watcher starts before the container and searches its
# cgroup for a process with the expected context, without a pause as soon as the cgroup exists. It reports no
# other context: the runtime's own process is in that cgroup until it becomes the container's.

file=/run/selab/labels-$name; mkdir -p /run/selab
rm -f "$file" "/run/selab/cid-$name"
( turn=0; id=""
  while [ -z "$id" ] && [ $turn -lt 1500 ]; do
    turn=$((turn + 1)); [ -s "/run/selab/cid-$name" ] && read -r id <"/run/selab/cid-$name"
    [ -n "$id" ] || sleep 0.1
  done
  turn=0 hurry=0
  while [ $turn -lt 1500 ]; do
    there=0
    for group in $cgroups; do
      group=/sys/fs/cgroup/${group%%ID*}$id${group#*ID}
      [ -e "$group/cgroup.procs" ] || continue
      there=1
      while read -r each; do
        label=""; read -r label <"/proc/$each/attr/current"
        [ "$label" = "$want" ] && echo "$label" >"$file" && exit
      done <"$group/cgroup.procs"
    done
    if [ $there = 1 ] && [ $hurry -lt 3000 ]; then hurry=$((hurry + 1))
    else turn=$((turn + 1)); sleep 0.03; fi
  done ) >/dev/null 2>&1 &
watcher=$!
