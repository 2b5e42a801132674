"""Query a policy: what it contains, what it decides, and what that may lead to."""
