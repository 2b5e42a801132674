"""Programs that selab installs in the guest."""
