#!/bin/sh
# Installs and loads the kernel modules that Docker's firewall rules need, which are in a separate package in
# EL 10. The repositories have the packages of the newest kernels only. If they no longer have that of the
# running kernel, this script installs a newer kernel with its modules.
#
# Arguments: none.
# Prints: what dnf prints; a sentence if the guest must be restarted.
# Exit codes: 1 a newer kernel is installed and needs a restart; else those of dnf and modprobe.

dnf -y install "kernel-modules-extra-$(uname -r)" || {
  dnf -y install kernel kernel-modules-extra || exit
  echo "the modules of the running kernel are no longer available; a newer kernel is installed:" \
    "restart the guest with selab vm halt" >&2
  exit 1
}
modprobe xt_addrtype
