"""Workflows of several runs: learn, minimise, watch, install."""
