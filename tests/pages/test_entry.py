"""The way in: what a server does once, for all its visitors."""

import gc

import pytest
import torch

from ui import entry


@pytest.fixture
def a_new_server():
    entry._prepare_server.cache_clear()
    gc.unfreeze()


def test_visitors_share_the_cores_and_imports_are_no_garbage_to_look_through(
    a_new_server, open_page
):
    open_page("schemes")
    frozen = gc.get_freeze_count()
    assert frozen > len(gc.get_objects())
    open_page("lesson")
    assert gc.get_freeze_count() <= frozen  # once, or what pages leave behind would never be freed


def test_torch_starts_no_threads_of_its_own(a_new_server, threads):
    threads(2)
    entry._prepare_server()
    assert torch.get_num_threads() == 1
