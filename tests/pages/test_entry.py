"""The way in: what a server does once, for all its visitors."""

import gc

import torch


def test_visitors_share_the_cores_and_imports_are_no_garbage_to_look_through(open_page):
    open_page("schemes")
    assert torch.get_num_threads() == 1
    frozen = gc.get_freeze_count()
    assert frozen > len(gc.get_objects())
    open_page("lesson")
    assert gc.get_freeze_count() <= frozen  # once, or what pages leave behind would never be freed
