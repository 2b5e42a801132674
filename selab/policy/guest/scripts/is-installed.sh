#!/bin/sh
# Checks whether the module store has a module at a priority.
#
# Arguments: $1 the priority; $2 the module's name.
# Prints: nothing.
# Exit codes: 1 it does not have the module; 3 there is no active store of the configured type.

type=$(sed -n 's/^SELINUXTYPE=[[:space:]]*//p' /etc/selinux/config | tail -n 1)
cd "/var/lib/selinux/$type/active/modules" || exit 3
[ -d "$1/$2" ]
