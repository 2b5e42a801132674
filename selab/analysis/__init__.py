"""Questions about policies and recorded runs that need no VM, each named after its command."""
