"""What pages keep for all sessions: results by their small spec, the least recently used go."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key")
Item = TypeVar("Item")


class Kept(Generic[Key, Item]):
    """At most ``most`` in all, counting ``size`` of each item's key: by default one each."""

    def __init__(self, most: int, size: Callable[[Key], int] = lambda key: 1) -> None:
        self._most, self._size = most, size
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

    def __iter__(self) -> Iterator[Key]:
        """The keys, the least recently used first."""
        with self._lock:
            return iter(list(self._items))

    def __len__(self) -> int:
        return len(self._items)

    def clear(self) -> None:
        with self._lock:
            self._items.clear()
