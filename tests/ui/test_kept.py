"""What pages keep is bounded: by number, or by the size of each."""

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
