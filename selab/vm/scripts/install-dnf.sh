#!/bin/sh
# Installs packages with dnf. Some are only in CodeReady Builder (crb), the repository for developers, which
# is disabled in a box.
#
# Arguments: the names of the packages.
# Prints: what dnf prints.
# Exit codes: those of dnf.

dnf -y install "$@" || dnf -y --enablerepo=crb install "$@"
