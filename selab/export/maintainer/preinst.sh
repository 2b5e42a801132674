#!/bin/sh
# Keeps the file contexts from before the installation. postinst relabels what the new ones change.
set -e
before=/run/$DPKG_MAINTSCRIPT_PACKAGE.file_contexts
if [ -r /etc/selinux/config ]; then
  type=$(sed -n 's/^SELINUXTYPE=[[:space:]]*//p' /etc/selinux/config | tail -n 1)
  contexts=/etc/selinux/$type/contexts/files/file_contexts
  [ ! -f "$contexts" ] || cp -- "$contexts" "$before"
fi
