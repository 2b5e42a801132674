#!/bin/sh
# Included by survey.sh and same-store.sh, which are in the directory of the active policy store.
#
# sign TYPE: sets `signature`, `policyvers` and `mls`. The signature changes if any file of the store, its
# configuration, the development headers, udica's templates or the contexts that no module declares changes: it
# is a digest of their names, inodes, sizes and times, and a change of the content updates the change time. The
# files themselves are not read. The 2 is the version of what survey.sh prints for them: raise it if that changes.

sign() {
  contexts=/etc/selinux/$1/contexts
  read -r policyvers </sys/fs/selinux/policyvers; read -r mls </sys/fs/selinux/mls
  # shellcheck disable=SC2046 # its words become the positional parameters
  set -- $({
    echo "2 $policyvers $mls"
    stat -c '%n %i %s %.Y %.Z' -- /etc/selinux/config /etc/selinux/semanage.conf \
      disable_dontaudit modules/*/*/cil modules/disabled/* *.local \
      "$contexts/files/file_contexts.subs" "$contexts/files/file_contexts.subs_dist" "$contexts/lxc_contexts" \
      2>/dev/null
    find /usr/share/selinux/devel /usr/share/udica/templates -type f -printf '%p %i %s %T@ %C@\n' 2>/dev/null
  } | sha256sum)
  signature=$1
}
