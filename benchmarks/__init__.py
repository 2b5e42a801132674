"""Measurements of selab, each run as a module: `python -m benchmarks.parse`."""
