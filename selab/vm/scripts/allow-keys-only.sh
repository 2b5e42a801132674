#!/bin/sh
# Configures sshd to accept keys only, and not to look up host names.
#
# Arguments: none.
# Prints: nothing.
# Exit codes: not 0 if the configuration is not valid or sshd could not be reloaded.

printf '%s\n' 'PasswordAuthentication no' 'KbdInteractiveAuthentication no' \
  'PermitRootLogin prohibit-password' 'AllowAgentForwarding no' 'X11Forwarding no' \
  'UseDNS no' >/etc/ssh/sshd_config.d/05-selab.conf
sshd -t && { systemctl reload sshd || systemctl reload ssh; }
