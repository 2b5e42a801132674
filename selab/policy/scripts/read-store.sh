#!/bin/sh
# Packs the policy store, the development headers, the contexts of the container runtimes and udica's templates.
#
# Arguments: $1 the store's type.
# Prints: a tar archive with paths relative to the root directory.
# Exit codes: those of tar.
#
# A file with several hard links is packed under each of its names, since selab unpacks only plain files.

# shellcheck disable=SC2046 # each path is a word; the names in a policy store have no spaces
cd / && tar --hard-dereference -cf - "var/lib/selinux/$1/active/modules" \
  $(ls -d var/lib/selinux/"$1"/active/*.local 2>/dev/null) \
  usr/share/selinux/devel $(ls -d "etc/selinux/$1/contexts" usr/share/udica/templates 2>/dev/null)
