"""What all tests share."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """As in the app: tests share the cores, and torch's threads would wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded():
    """Whatever a test draws without a generator of its own is the same in every run."""
    torch.manual_seed(0)


@pytest.fixture
def threads():
    """Sets the number of torch's threads, for one test."""
    yield torch.set_num_threads
    torch.set_num_threads(1)
