#!/bin/sh
# Removes Vagrant's insecure key, which a box accepts: everyone can obtain its private key.
#
# Arguments: none.
# Prints: nothing.
# Exit codes: 0.

key='vagrant insecure public key|AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr'
for keys in /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys; do
  [ ! -e "$keys" ] || sed -i -E "/$key/d" "$keys"
done
restorecon -RF /root/.ssh /home || true
