"""Advise on denials: what was requested, what blocked it, and what to do about it, the best remedy first."""
