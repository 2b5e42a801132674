#!/bin/sh
# Describes the guest's policy store, without reading the modules again if the store has not changed since the
# last survey.
#
# Arguments: none.
# Prints: a line `KEY VALUE` for each of signature, type, policyvers, mls, expand and, if the rules are off,
#   dontaudit; if it is known, of system, the distribution and its version; a line `store`; the signature; and a
#   line `SHA256  PATH` for each module (paths below the active store), each disabled module and each local
#   modification; one for all development headers together, with the path `devel`, one for the contexts that no
#   module declares, with the path `contexts`, and one for udica's templates, with the path `templates`.
# Exit codes: 3 there is no active store of the configured type.
# Files: /run/selab/store holds what is printed after the line `store`; /run/selab/store.half is its next
#   version while this script writes it.

# value KEY FILE: prints the last value that FILE sets KEY to.
value() {
  setting=
  while read -r line; do case $line in "$1"=*|"$1"[[:space:]]*=*) setting=${line#*=} ;; esac; done <"$2"
  # shellcheck disable=SC2086 # without quotes the shell removes the spaces around the value
  echo $setting
}
# together DIRECTORY PATH... [TEST...]: prints one line for all files below the PATHs, which are below DIRECTORY,
# and which pass find's TESTs; its path is the first part of theirs. The digest is that of sha256sum's output.
together() {
  directory=$1; shift
  all=$(cd "$directory" 2>/dev/null && LC_ALL=C find "$@" -type f -print0 2>/dev/null |
    LC_ALL=C sort -z | xargs -0r sha256sum | sha256sum) || all=$(sha256sum </dev/null)
  echo "${all%% *}  ${1%%/*}"
}
type=$(value SELINUXTYPE /etc/selinux/config)
cd "/var/lib/selinux/$type/active" || exit 3
. ./lib-sign.sh
sign "$type"
printf '%s\n' "signature $signature" "type $type" \
  "policyvers $policyvers" "mls $mls" "expand $(value expand-check /etc/selinux/semanage.conf)"
# shellcheck source=/dev/null # each distribution has its own
[ -r /etc/os-release ] && (. /etc/os-release; printf 'system %s\n' "$PRETTY_NAME")
[ -e disable_dontaudit ] && echo "dontaudit off"
survey=/run/selab/store; known=
[ -e "$survey" ] && read -r known <"$survey"
if [ "$known" != "$signature" ]; then
  mkdir -p /run/selab
  { echo "$signature"
    find modules -type f \( -name cil -o -path 'modules/disabled/*' \) -print0 | xargs -0 sha256sum
    for local in *.local; do [ -s "$local" ] && sha256sum "$local"; done
    together /usr/share/selinux devel
    together "/etc/selinux/$type" contexts/files/file_contexts.subs contexts/files/file_contexts.subs_dist \
      contexts/lxc_contexts
    together /usr/share/udica templates -maxdepth 1 -regextype posix-extended \
      -regex 'templates/[A-Za-z][A-Za-z0-9_.-]{0,99}\.cil'
  } >"$survey.half"
  mv "$survey.half" "$survey"
fi
echo store
cat "$survey"
