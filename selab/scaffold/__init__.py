"""Write starter files: a policy that fits the guest's policy, and a scenario for an existing container."""
