"""Codes of categories: kept, shared by a hash, rare and unknown ones, fold by fold."""

import tracemalloc

import numpy as np

from models.levels import FIRST_LEVEL, MISSING, UNKNOWN, bucket, codes_of, learn


def cells(*counts):
    """Levels "l0", "l1", ... as often as asked."""
    return np.array([f"l{i}" for i, n in enumerate(counts) for _ in range(n)], dtype=object)


def all_rows(texts, folds=1):
    return [np.ones(len(texts), dtype=bool)] * folds


def test_levels_beyond_the_kept_ones_share_buckets():
    texts = cells(9, 8, 5, 5, 4, 1)
    found = learn(texts, all_rows(texts), levels=2, rare=2, buckets=3)
    codes = found.column.codes()
    assert found.column.words == ("l0", "l1")
    assert found.column.hashed == ("l2", "l3", "l4")
    assert codes["l3"] == FIRST_LEVEL + 2 + bucket("l3", 3)
    assert codes["l3"] < found.column.size == FIRST_LEVEL + 2 + 3
    assert "l5" not in codes  # rare: unknown
    assert found.shared == [14]
    assert found.rare == [1]
    assert found.known[0, codes["l3"]] == codes["l3"]


def test_without_buckets_levels_beyond_are_unknown():
    texts = cells(9, 8, 5)
    found = learn(texts, all_rows(texts), levels=2, rare=1, buckets=0)
    assert found.column.size == FIRST_LEVEL + 2
    assert (found.rare, found.shared) == ([5], [0])


def test_ten_thousand_levels_cost_the_kept_ones_and_the_buckets():
    texts = np.array([f"v{i % 10_000}" for i in range(40_000)], dtype=object)
    found = learn(texts, all_rows(texts), levels=100, rare=2, buckets=64)
    assert found.column.size == FIRST_LEVEL + 100 + 64
    assert len(found.column.hashed) == 9_900
    used = {code for word, code in found.column.codes().items() if word in found.column.hashed}
    assert len(used) == 64


def test_a_bucket_is_unknown_to_a_fold_that_has_none_of_its_levels():
    texts = np.array([*["a"] * 6, *["b"] * 4, *["c"] * 3, *["b"] * 4, *["a"] * 6], dtype=object)
    trains = [np.arange(23) >= 13, np.ones(23, dtype=bool)]
    found = learn(texts, trains, levels=1, rare=1, buckets=50)
    codes = found.column.codes()
    assert bucket("b", 50) != bucket("c", 50)
    assert found.known[0, codes["c"]] == UNKNOWN
    assert found.known[1, codes["c"]] == codes["c"]
    assert found.known[:, MISSING].tolist() == [UNKNOWN, UNKNOWN]


def test_a_hash_is_the_same_everywhere():
    assert [bucket(word, 1000) for word in ("서울", "a", "")] == [774, 907, 0]


def test_of_too_many_levels_the_commonest_share_buckets(monkeypatch):
    monkeypatch.setattr("models.levels.HASHED", 2)
    texts = cells(9, 2, 2, 5, 4)
    found = learn(texts, all_rows(texts), levels=1, rare=2, buckets=3)
    assert found.column.hashed == ("l3", "l4")
    assert found.rare == [4]


def test_a_hundred_thousand_levels_cost_no_more_than_their_texts_and_the_buckets():
    words = np.array([f"shop {k:06d}" for k in range(100_000)], dtype=object)
    texts = words[np.random.default_rng(0).permutation(np.repeat(np.arange(100_000), 3))]
    own = np.full(len(texts), fill_value=True)
    tracemalloc.start()
    found = learn(texts, [own], levels=1024, rare=2, buckets=128)
    codes = codes_of([found.column], texts[:, None])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.column.size == FIRST_LEVEL + 1024 + 128
    assert found.known.shape == (1, found.column.size)
    assert found.shared == [3 * (100_000 - 1024)]
    assert codes.max() == found.column.size - 1
    assert peak < 150e6
