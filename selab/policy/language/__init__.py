"""Parsers for the languages in which policy is written: .te, .if and CIL."""
