#!/bin/sh
# Finds which packages the guest lacks.
#
# Arguments: the names of the packages.
# Prints: the names of those that are not installed, one per line.
# Exit codes: 0.

for package; do
  if command -v dpkg-query >/dev/null; then
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null)" = installed ]
  else rpm --quiet -q "$package"; fi || echo "$package"
done
