"""The policy in the guest: loading it, its mode, file labels and the module store."""
