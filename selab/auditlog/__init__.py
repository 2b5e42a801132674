"""Parse the audit log: lines, records, events, denials.

These modules only compute values: none runs a command or prints.
"""
