#!/bin/sh
# Runs the probes of the provisioning steps, each in a shell of its own. A probe is a script from
# provision.toml.
#
# Arguments: the probes. A probe may call `have PROGRAM...`, which succeeds if the guest has each program.
# Prints: `present` or `missing` on a line for each probe.
# Exit codes: 0.

have() { for tool; do command -v "$tool" || return 1; done; }
for probe in "$@"; do
  if ( eval "$probe" ) >/dev/null 2>&1 </dev/null; then echo present; else echo missing; fi
done
