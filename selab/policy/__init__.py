"""Turn a policy module's text into a kernel policy, load it, and prove that it is in force."""
