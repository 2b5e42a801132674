"""Read what a container runtime says about containers for a new scenario."""
