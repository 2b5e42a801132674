#!/bin/sh
# Adds the public key on standard input to the keys that may log in as root and as Vagrant's user.
#
# Arguments: none.
# Prints: nothing.
# Exit codes: not 0 if the key of the last user was not added.

key=$(cat)
for user in root "${SUDO_USER:-vagrant}"; do
  home=$(getent passwd "$user" | cut -d: -f6); [ -n "$home" ] || continue
  umask 077; mkdir -p "$home/.ssh"; echo "$key" >>"$home/.ssh/authorized_keys"; chown -R "$user:" "$home/.ssh"
done
