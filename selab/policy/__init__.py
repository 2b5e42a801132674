"""From a policy module's text to a kernel policy in force: module -> CIL -> linked with the base -> loaded, and proven."""
