#!/bin/sh
# Compiles one policy module with the distribution's own Makefile and translates its package to CIL. It
# runs in the guest only: the Makefile is the guest's.
#
# A full disk may have truncated the result of an earlier build: make compares only the times of files, and
# not all of these programs check that their last bytes were written. So this script removes a half-written
# file, and the result goes through a pipe if that is possible.
#
# Arguments: $1 the build directory, which holds the sources; $2 the module's name; $3 the directory of the
#   policy headers; $4 the policy's type, which the Makefile calls NAME; $5 the program that translates a
#   package to CIL; $6 the command of the macro processor.
# Prints: the CIL; on standard error what make prints.
# Exit codes: 1 make failed, usually because the module does not compile; 3 there is no build directory; 4 make
#   did not run; else those of $5.

export LC_ALL=C
cd "$1" || exit 3
rm -f "$2.pp"
[ ! -e tmp/all_interfaces.conf ] || [ "$(tail -n 1 tmp/all_interfaces.conf)" = divert ] ||
  rm -f tmp/all_interfaces.conf
make -f "$3/include/Makefile" HEADERDIR="$3/include" NAME="$4" AWK=awk M4="$6" "$2.pp" >&2; status=$?
[ "$status" -eq 0 ] || rm -f "tmp/$2.mod" "tmp/$2.mod.fc"
case $status in 0) ;; 1 | 2) exit 1 ;; *) exit 4 ;; esac
exec "$5" "$2.pp"
