"""Read a Compose file for a new scenario."""
