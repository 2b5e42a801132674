"""This machine: its commands, files, cache and locks."""
