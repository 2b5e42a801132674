#!/bin/sh
# Included by switch-mode.sh and restore-mode.sh.

# mode: sets `mode` to the guest's mode. The file has no line end, so `read` never succeeds.
mode() { read -r mode </sys/fs/selinux/enforce; }

# set_mode MODE: sets the guest's mode and checks that the kernel has it.
set_mode() { printf '%s' "$1" >/sys/fs/selinux/enforce; mode; [ "$mode" = "$1" ] || exit 1; }
