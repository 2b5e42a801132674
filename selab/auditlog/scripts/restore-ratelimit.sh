#!/bin/sh
# Restores the kernel's rate limit for its messages, which open-window.sh has switched off.
#
# Arguments: $1 the limit in seconds.
# Prints: nothing.
# Exit codes: not 0 if the kernel refuses the value.

echo "$1" >/proc/sys/kernel/printk_ratelimit
