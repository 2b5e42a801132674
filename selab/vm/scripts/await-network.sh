#!/bin/sh
# Waits until the guest has a way out, after selab has taken up the link of its outer interface. A box may
# leave an interface without a configuration alone; NetworkManager then configures it by DHCP.
#
# Arguments: $1 the number of seconds to wait at most; then the hardware addresses of the outer interfaces.
# Prints: nothing.
# Exit codes: 1 the guest got no route in time.

start=$(date +%s) limit=$1 connected=
shift
until ip -4 route show default | grep -q .; do
  waited=$(($(date +%s) - start))
  [ "$waited" -lt "$limit" ] || exit 1
  if [ "$waited" -ge 5 ] && [ -z "$connected" ] && command -v nmcli >/dev/null; then
    for path in /sys/class/net/*; do
      case " $* " in
        *" $(cat "$path/address") "*) nmcli -w 10 device connect "${path##*/}" >/dev/null ;;
      esac
    done
    connected=yes
  fi
  sleep 0.2
done
