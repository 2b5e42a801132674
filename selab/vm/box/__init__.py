"""The boxes that selab builds itself, from distribution packages and without a network box."""

from selab.vm.box.build import box_name, build_box, find_box
from selab.vm.box.recipe import profiles
from selab.vm.box.store import Box, list_boxes, remove_box

__all__ = ["Box", "box_name", "build_box", "find_box", "list_boxes", "profiles", "remove_box"]
