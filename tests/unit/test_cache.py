"""The cache module of the C core from Python: keys, order of eviction, lifetime of bytes."""

import gc
import threading

import numpy as np
import pytest

from ishowtts._cache import Cache


def test_get_put_and_stats() -> None:
    cache = Cache(1 << 20)
    x = np.arange(6, dtype=np.float32)
    assert cache.get((b"mel", b"voice")) is None
    view = cache.put((b"mel", b"voice"), x)
    assert view.readonly and view.nbytes == 24
    found = cache.get((b"mel", memoryview(b"voice")))
    np.testing.assert_array_equal(np.frombuffer(found, np.float32), x)
    assert cache.put((b"mel", b"voice"), b"other") == found  # the existing entry is kept
    stats = cache.stats()
    assert {
        name: stats[name] for name in ("hits", "misses", "inserts", "entries", "evictions", "rejected", "budget")
    } == {
        "hits": 1,
        "misses": 1,
        "inserts": 1,
        "entries": 1,
        "evictions": 0,
        "rejected": 0,
        "budget": 1 << 20,
    }
    cache.clear()
    assert cache.get((b"mel", b"voice")) is None
    assert cache.stats()["bytes"] == 0
    assert found.tobytes() == x.tobytes()


def test_parts_of_a_key_are_kept_apart() -> None:
    cache = Cache(1 << 20)
    keys = [(b"ab", b"c"), (b"a", b"bc"), (b"c", b"ab"), (b"x", b"c"), (b"abc",), (b"abc", b""), (b"", b"abc")]
    for i, key in enumerate(keys):
        cache.put(key, bytes([i]))
    assert [cache.get(key).tobytes() for key in keys] == [bytes([i]) for i in range(len(keys))]


def test_least_recently_used_leaves_and_views_live_on() -> None:
    probe = Cache(1 << 20)
    probe.put((b"x",), bytes(1000))
    cost = probe.stats()["bytes"]
    cache = Cache(2 * cost)
    first = cache.put((b"1",), b"1" * 1000)
    cache.put((b"2",), b"2" * 1000)
    assert cache.get((b"1",)) is not None
    cache.put((b"3",), b"3" * 1000)
    assert cache.get((b"2",)) is None
    assert cache.get((b"1",)) is not None
    assert cache.stats()["evictions"] == 1
    large = cache.put((b"large",), bytes(10 * cost))  # returned, not cached
    assert cache.get((b"large",)) is None
    assert cache.stats()["rejected"] == 1
    array = np.frombuffer(first, np.uint8)
    del cache, first
    gc.collect()
    assert large.nbytes == 10 * cost
    assert (array == ord("1")).all()


def test_refusals() -> None:
    cache = Cache(100)
    for key in (b"bytes", [b"list"], (), ("text",), (1,), None):
        with pytest.raises(TypeError):
            cache.get(key)
        with pytest.raises(TypeError):
            cache.put(key, b"")
    with pytest.raises(TypeError):
        cache.put((b"key",), "text")
    with pytest.raises(TypeError):
        Cache()
    with pytest.raises(ValueError, match="budget"):
        Cache(-1)
    with pytest.raises(TypeError, match="read-only"):
        cache.put((b"key",), b"abc")[0] = 1


def test_threads() -> None:
    cache = Cache(3000)
    wrong: list[int] = []

    def work(seed: int) -> None:
        for name in np.random.default_rng(seed).integers(0, 30, 1000):
            expected = bytes([name]) * (100 + int(name))
            view = cache.get((b"n", bytes([name]))) or cache.put((b"n", bytes([name])), expected)
            if view != expected:
                wrong.append(int(name))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = cache.stats()
    assert not wrong
    assert stats["hits"] + stats["misses"] == 4000
    assert stats["evictions"] > 0
    assert stats["bytes"] <= 3000
