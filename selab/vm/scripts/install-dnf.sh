#!/bin/sh
# Installs packages with dnf. Some are only in the repository for developers (CodeReady Builder), which is
# disabled in a box: crb in CentOS, codeready-builder-for-rhel-... in RHEL. Fedora has no such repository.
# The commands that enable a repository differ between dnf 4 and dnf 5; these options do not, and they hold
# for one transaction only.
#
# Arguments: the names of the packages.
# Prints: what dnf prints; at last the reason if packages are missing or conflict, after which dnf proposes
#   options that selab does not use.
# Exit codes: those of dnf.

reasons=$(mktemp)
trap 'rm -f "$reasons"' EXIT
install() { dnf -y "$@" 2>"$reasons"; code=$?; cat "$reasons" >&2; return "$code"; }
install install "$@" && exit
ids='crb|codeready-builder-for-rhel-[0-9]+-[a-z0-9_]+-rpms'
builder=$(dnf -q repolist --disabled | sed -nE "s/^($ids) .*/\1/p")
if [ -n "$builder" ]; then install --enablerepo="$builder" install "$@" && exit; fi
sed -nE '/conflicting requests/d; s/^ +- (.*)/\1/p; /^No match for argument/p' "$reasons" | head -n 1 >&2
exit "$code"
