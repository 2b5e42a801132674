#!/bin/sh
# Included by label-files.sh and label-tree.sh.
#
# equivalences FILE: gives a file of file contexts the equivalences of the guest. libselinux reads those of a file
# that is named on the command line from FILE.subs_dist and FILE.subs, and not from the policy's (label_file.c).

equivalences() {
  policy=$(sed -n 's/^[[:space:]]*SELINUXTYPE[[:space:]]*=[[:space:]]*//p' /etc/selinux/config | sed -n '$s/[[:space:]]*$//p')
  for name in subs_dist subs; do
    rm -f "$1.$name"
    theirs=/etc/selinux/$policy/contexts/files/file_contexts.$name
    [ ! -e "$theirs" ] || cp "$theirs" "$1.$name" || return
  done
}
