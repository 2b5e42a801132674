#!/bin/sh
# Checks that the guest's policy store has not changed since the survey.
#
# Arguments: $1 the store's type, for example `targeted`; $2 the signature that survey.sh printed.
# Prints: nothing.
# Exit codes: 8 the store has changed, or does not exist.

. ./lib-sign.sh
cd "/var/lib/selinux/$1/active" && sign "$1" && [ "$signature" = "$2" ] || exit 8
