"""A scenario: the workload that a run executes, as the user wrote it."""
