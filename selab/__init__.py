"""selab: a laboratory for SELinux policy."""

__version__ = "0.1.0"
