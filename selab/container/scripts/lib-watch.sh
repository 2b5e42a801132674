#!/bin/sh
# Included by start.sh, which has set `want`, `name` and `cgroups`. Sets `watcher`, the process id of the
# watcher.
#
# A container may end before selab can inspect it. The watcher starts before the container and searches its
# cgroup for a process with the expected context, without a pause as soon as the cgroup exists. It reports no
# other context: the runtime's own process is in that cgroup until it becomes the container's.
#
# Until then it waits in bash, without a program: in an emulated guest, each start of `sleep` slows the
# container's start down. `read` waits on a pipe to which nothing is written.

file=/run/selab/labels-$name; mkdir -p /run/selab
rm -f "$file" "/run/selab/cid-$name"
# shellcheck disable=SC2016 # bash expands this
bash -c '
  want=$1 file=$2 cid=$3 cgroups=$4
  exec 9<> <(:)
  turn=0 id=""
  while [ -z "$id" ] && [ $turn -lt 1500 ]; do
    turn=$((turn + 1)); [ -s "$cid" ] && read -r id <"$cid"
    [ -n "$id" ] || read -rt 0.1 -u 9
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
    else turn=$((turn + 1)); read -rt 0.03 -u 9; fi
  done' bash "$want" "$file" "/run/selab/cid-$name" "$cgroups" >/dev/null 2>&1 &
watcher=$!
