"""What this machine has and lacks, and the report that a user sends about it."""
