#!/bin/sh
# Checks what an existing host must have before selab checks its programs.
#
# Arguments: none.
# Prints: a sentence that says what is missing.
# Exit codes: 1 something is missing.

[ "$(id -u)" = 0 ] || { echo 'its commands do not run as root'; exit 1; }
[ -d /sys/fs/selinux/booleans ] || { echo 'SELinux is not enabled'; exit 1; }
