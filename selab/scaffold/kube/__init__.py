"""Read a Kubernetes manifest for a new scenario."""
