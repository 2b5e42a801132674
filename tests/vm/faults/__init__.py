"""Cause real faults on the VM of the tests."""

FULL = "selab_apache_full"
"""The policy under which the scenario `apache` passes."""
