"""The workload in the guest: its image, the container under its label, the steps, and what really became of it."""
