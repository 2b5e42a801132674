#!/bin/sh
# Removes the sources of policy modules that are no longer compiled from a build directory.
#
# Arguments: $1 the build directory, which need not exist; from $2 the names of the files to keep.
# Prints: nothing.
# Exit codes: 0.

cd "$1" 2>/dev/null || exit 0
shift
for file in *.te *.fc *.if; do
  case " $* " in *" $file "*) ;; *) rm -f "$file" ;; esac
done
