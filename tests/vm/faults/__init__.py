"""Faults, made for real on the tests' VM."""

FULL = "selab_apache_full"
"""The policy under which the scenario `apache` passes."""
