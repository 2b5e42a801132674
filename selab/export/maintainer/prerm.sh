#!/bin/sh
# Removes the package's modules in one transaction. Their templates stay: other policies may inherit from them.
set -e
[ "$1" = remove ] || exit 0
directory=/usr/share/selinux/packages/$DPKG_MAINTSCRIPT_PACKAGE
set --
for module in "$directory"/*.cil; do
  set -- "$@" -r "$(basename -- "$module" .cil)"
done
semodule -X 200 "$@"
