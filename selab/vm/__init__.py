"""The virtual machine: that it is up, reachable and provisioned."""
