"""Run a service of the guest under the candidate's domain, and read how a service is meant to be run."""
