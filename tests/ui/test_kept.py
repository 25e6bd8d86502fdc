"""What pages keep is bounded, by number or by the size of each, and is made once for everybody."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ui import kept as module
from ui.kept import Kept


def test_the_least_recently_used_goes_first():
    kept = Kept(2)
    kept.put("a", 1)
    kept.put("b", 2)
    assert kept.get("a") == 1
    kept.put("c", 3)
    assert [kept.get(key) for key in "abc"] == [1, None, 3]


def test_large_items_push_out_more_and_the_newest_stays():
    kept = Kept(10, len)
    kept.put("aaa", 1)
    kept.put("bbbb", 2)
    kept.put("ccccc", 3)
    assert kept.get("aaa") is None
    assert kept.get("bbbb") == 2
    kept.put("d" * 20, 4)
    assert [kept.get("bbbb"), kept.get("d" * 20)] == [None, 4]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(module, "_WAIT", 0.001)


class Waiting:
    """Progress that counts those who wait; ``all_wait`` is set once ``count`` do."""

    def __init__(self, count):
        self.count, self.told, self.all_wait = count, set(), threading.Event()

    def __call__(self, share, now=""):
        assert "waiting" in now
        self.told.add(threading.get_ident())
        if len(self.told) == self.count:
            self.all_wait.set()


def test_thirty_who_ask_at_once_get_one_item_made_once():
    kept, made, waiting = Kept(2), [], Waiting(29)

    def make():
        assert waiting.all_wait.wait(60)
        made.append(object())
        return made[-1]

    with ThreadPoolExecutor(30) as pool:
        got = list(pool.map(lambda _: kept.get_or_make("a", make, waiting), range(30)))
    assert len(made) == 1
    assert set(map(id, got)) == {id(made[0])}
    assert kept.get_or_make("a", None) is made[0]


def test_items_of_one_turn_are_made_one_at_a_time():
    first = Kept(9)
    second = Kept(9, turn=first.turn)
    at_work, most = 0, 0

    def make():
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        waiting.all_wait.wait(60)
        at_work -= 1
        return 1

    waiting = Waiting(7)
    with ThreadPoolExecutor(8) as pool:
        for i in range(8):
            pool.submit((first, second)[i % 2].get_or_make, i, make, waiting)
    assert most == 1
    assert len(first) + len(second) == 8


def test_whoever_waits_may_leave():
    kept = Kept(2)

    def leave(share, now=""):
        raise KeyboardInterrupt

    with kept.turn, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(kept.get_or_make, "a", lambda: 1, leave)
        with pytest.raises(KeyboardInterrupt):
            waiting.result(60)
    assert kept.get_or_make("a", lambda: 2) == 2


def test_what_fails_is_made_by_the_next():
    kept = Kept(2)

    with pytest.raises(ZeroDivisionError):
        kept.get_or_make("a", lambda: 1 / 0)
    assert kept.get_or_make("a", lambda: 1) == 1
