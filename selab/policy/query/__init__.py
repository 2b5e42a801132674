"""Questions to a policy: what it contains, what it decides, what that may lead to."""
