#!/bin/sh
# Included by start.sh, stop.sh and describe.sh, which have set `unit`.

# show PROPERTY,...: asks systemd for properties of the unit, which `value` prints then.
show() { properties=$(systemctl show "--property=$1" -- "$unit"); }

# value PROPERTY: prints what systemd has answered; nothing if it has not reported the property.
value() {
  while IFS='=' read -r key rest; do [ "$key" != "$1" ] || printf '%s\n' "$rest"; done <<END
$properties
END
}

# members GROUP: prints the ids of the processes in the cgroup GROUP and in those below it. With cgroup v1, it
# is below systemd's own hierarchy.
members() {
  [ -n "$1" ] && [ "$1" != / ] || return 0
  for place in "/sys/fs/cgroup$1" "/sys/fs/cgroup/systemd$1"; do
    [ ! -d "$place" ] || find "$place" -name cgroup.procs -exec cat {} + 2>/dev/null
  done
}
