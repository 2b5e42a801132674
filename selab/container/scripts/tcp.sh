#!/bin/sh
# Connects to a port of the guest until the connection reaches the container or service, the time is up, or that
# has ended.
#
# A connection that is accepted proves nothing by itself. Docker's proxy connects to the container only after it has
# accepted a connection, and closes it if nothing listens there (moby, cmd/docker-proxy/tcp_proxy_linux.go);
# Podman binds the guest's ports, so that nothing else takes them. So the kernel's tables of the container's
# network must have both a listening socket of a process of the container and, while the connection is open,
# the container's end of it. The container's processes are those with the mount namespace of its main process. The
# same holds for a service of the guest; if it has the guest's own mount namespace, its processes are those of its
# cgroup.
#
# A server with TCP_DEFER_ACCEPT (tcp(7)), such as Apache, gets the connection only when data arrive, which this script
# never sends. Until then its end has the state of an incomplete connection, so the other end must be complete.
#
# Arguments: $1 the port of the guest; $2 the port of the container; $3 the limit in whole seconds; $4 whether
#   to repeat the attempt (1) or not (0); $5 the main process of the container or
#   service.
# Prints: `accepted`; on failure `ended` if the container has ended, `silent` if none of its processes listens,
#   `refused` if the guest's port accepts no connection, `elsewhere` if the connection does not reach it.
# Exit codes: 1 the connection was not accepted; else those of timeout(1) and bash.

port=$1 limit=$3 wait=$4 pid=$5
outer=$(printf %04X "$1") inner=$(printf %04X "$2")
tables="/proc/$pid/net/tcp /proc/$pid/net/tcp6"
# As the kernel writes 127.0.0.0/8 and ::1, on a processor with the low byte first. A connection to the container
# comes from there only if the container has the guest's network.
loopback='^ *[0-9]+: (.{6}7F|0{24}01000000):'
# shellcheck disable=SC3013 # dash and bash, the guests' shells, both have -ef
[ "/proc/$pid/ns/net" -ef /proc/self/ns/net ] && loopback='^$'

# listens: checks whether a process of the container has a socket that listens on its port.
listens() {
  # shellcheck disable=SC2086 # its words are the names of two files
  sockets=$(cat $tables 2>/dev/null | while read -r _ address _ state _ _ _ _ _ inode _; do
    [ "$state" != 0A ] || [ "${address##*:}" != "$inner" ] || echo "socket:[$inode]"
  done)
  [ -n "$sockets" ] || return 1
  set --
  # shellcheck disable=SC3013
  if [ "/proc/$pid/ns/mnt" -ef /proc/1/ns/mnt ]; then
    group=$(sed -n 's/^0::\|^[0-9]*:name=systemd://p' "/proc/$pid/cgroup" | grep -m 1 -vx /)
    # shellcheck disable=SC2013 # a line is a number
    for process in $(cat "/sys/fs/cgroup$group/cgroup.procs" "/sys/fs/cgroup/systemd$group/cgroup.procs"); do
      set -- "$@" "/proc/$process/fd"
    done 2>/dev/null
  else
    for process in /proc/[0-9]*; do
      # shellcheck disable=SC3013
      [ "$process/ns/mnt" -ef "/proc/$pid/ns/mnt" ] && set -- "$@" "$process/fd"
    done
  fi
  # shellcheck disable=SC2010 # the names of these links are numbers
  [ $# -gt 0 ] && ls -l "$@" 2>/dev/null | grep -qF -e "$sockets"
}

# Run by bash, which can open a connection. States 1, 4, 5 and 8 are those of a complete connection
# (include/net/tcp_states.h): established, or with one of the ends closed; 3 is that of an incomplete one. The
# addresses of IPv4 in IPv6 are written as those of IPv4. Without a proxy, the connection of this script is complete,
# and the guest has no other end of it.
# shellcheck disable=SC2016 # bash expands it
connect='
rows() { cat $1 2>/dev/null | sed "s/0000000000000000FFFF0000//g" | grep -E ": $2 $3 0[$4] "; }
end=[0-9A-F]+:[0-9A-F]+
reached() {
  rows "$tables" "[0-9A-F]+:$inner" "$end" 1458 | grep -qvE "$loopback" && return
  guest="/proc/net/tcp /proc/net/tcp6"
  rows "$tables" "[0-9A-F]+:$inner" "$end" 3 | grep -vE "$loopback" | {
    while read -r _ own other _; do
      rows "$guest" "0100007F:$outer" "$end" 1458 >/dev/null || exit 0
      rows "$guest" "$other" "$own" 1 >/dev/null && exit 0
    done
    exit 1
  }
}
{ for turn in 1 2 3 4 5 6 7 8 9 10; do
    reached && { echo accepted; exit; }
    sleep 0.2
  done
  echo elsewhere; exit; } 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$port"
echo refused'

# attempt: sets `result` to what the script prints.
attempt() {
  [ -e "/proc/$pid" ] || { result=ended; return; }
  listens || { result=silent; return; }
  result=$(port=$port outer=$outer inner=$inner tables=$tables loopback=$loopback \
    timeout --kill-after=5 "$limit" bash -c "$connect")
  status=$?
  case $status in 0) ;; 124) result=refused ;; *) exit $status ;; esac
}

end=$(($(date +%s) + limit))
while :; do
  attempt
  [ "$result" != accepted ] || { echo accepted; exit 0; }
  { [ "$wait" = 1 ] && [ "$result" != ended ] && [ "$(date +%s)" -lt "$end" ]; } || break
  sleep 0.2
done
[ -e "/proc/$pid" ] || result=ended
echo "$result"
exit 1
