#!/bin/sh
# Installs the package's modules and their templates in one transaction, at the priority of packages (200; an
# administrator's modules have 400), and relabels what the new file contexts change.
set -e
directory=/usr/share/selinux/packages/$DPKG_MAINTSCRIPT_PACKAGE
before=/run/$DPKG_MAINTSCRIPT_PACKAGE.file_contexts
[ "$1" = configure ] || exit 0
set -- "$directory"/*.cil
for template in "$directory"/templates/*.cil; do
  [ ! -f "$template" ] || set -- "$@" "$template"
done
semodule -X 200 -i "$@"
if [ -f "$before" ] && selinuxenabled 2>/dev/null && ! fixfiles -C "$before" restore; then
  echo "Some files were not relabelled. Relabel them with \`fixfiles restore\`." >&2
fi
rm -f -- "$before"
