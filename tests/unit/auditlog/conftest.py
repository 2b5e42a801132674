"""Property tests here have no deadline: a loaded machine is not a slow parser."""

from hypothesis import settings

settings.register_profile("audit", deadline=None)
settings.load_profile("audit")
