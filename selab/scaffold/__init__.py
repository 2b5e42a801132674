"""Files to begin with: a policy that fits the guest's policy, and a scenario for a container that somebody has already."""
