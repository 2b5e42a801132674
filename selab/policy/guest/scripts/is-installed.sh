#!/bin/sh
# Checks whether the module store has a module at a priority.
#
# Arguments: $1 the priority; $2 the module's name.
# Prints: nothing.
# Exit codes: 1 it does not have the module.

type=$(sed -n 's/^SELINUXTYPE=[[:space:]]*//p' /etc/selinux/config | tail -n 1)
[ -d "/var/lib/selinux/$type/active/modules/$1/$2" ]
