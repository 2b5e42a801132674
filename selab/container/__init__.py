"""Run the workload in the guest: provide its image, run the container under its label, and do the steps."""
