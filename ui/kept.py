"""What pages keep for all sessions: results by their small spec, the least recently used go.

Thirty people who open one link at once take the time of one, and the memory of one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from initcore.measure import Progress

Key = TypeVar("Key")
Item = TypeVar("Item")

_WAIT = 0.25  # seconds between two looks at whether a visitor who waits is still there


class Kept(Generic[Key, Item]):
    """At most ``most`` in all, counting ``size`` of each item's key: by default one each.

    ``turn`` is for what is made in turn with the items of another.
    """

    def __init__(
        self,
        most: int,
        size: Callable[[Key], int] = lambda key: 1,
        turn: threading.Lock | None = None,
    ) -> None:
        self._most, self._size = most, size
        self.turn = turn or threading.Lock()
        self._items: OrderedDict[Key, Item] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Item | None:
        with self._lock:
            if key in self._items:
                self._items.move_to_end(key)
            return self._items.get(key)

    def put(self, key: Key, item: Item) -> None:
        """Keep an item; the newest always stays."""
        with self._lock:
            self._items[key] = item
            self._items.move_to_end(key)
            while len(self._items) > 1 and sum(map(self._size, self._items)) > self._most:
                self._items.popitem(last=False)

    def get_or_make(
        self, key: Key, make: Callable[[], Item], progress: Progress | None = None
    ) -> Item:
        """What is kept, or made now: one item at a time, and each once.

        ``progress`` is told again and again while others have their turn; an exception of its own
        ends the wait, and one of ``make`` gives the turn to the next.
        """
        if (kept := self.get(key)) is not None:
            return kept
        while not self.turn.acquire(timeout=_WAIT):
            if progress:
                progress(0.0, "waiting for another visitor's")
        try:
            # While this visitor waited, another may have made it.
            if (made := self.get(key)) is None:
                made = make()
                self.put(key, made)
        finally:
            self.turn.release()
        return made

    def __iter__(self) -> Iterator[Key]:
        """The keys, the least recently used first."""
        with self._lock:
            return iter(list(self._items))

    def __len__(self) -> int:
        return len(self._items)

    def clear(self) -> None:
        with self._lock:
            self._items.clear()
