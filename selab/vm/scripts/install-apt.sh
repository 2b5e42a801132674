#!/bin/sh
# Installs packages with apt-get.
#
# Arguments: the names of the packages.
# Prints: what apt-get prints.
# Exit codes: those of apt-get.

apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends "$@"
