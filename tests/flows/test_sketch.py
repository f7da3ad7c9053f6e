"""Sketches of sets: what two have in common is told well enough to say whether it is half."""

import json

import numpy as np
import pytest

from flows.sketch import KEPT, Sketch


def units(first, last):
    """Identities as a ledger has them: scattered numbers."""
    from flows.identity import mix

    return mix(np.arange(first, last, dtype=np.uint64))


@pytest.mark.parametrize("order", [1, -1])
def test_a_sketch_depends_on_the_set_alone(order):
    once = Sketch.of(units(0, 1000))
    again = Sketch.of(np.repeat(units(0, 1000), 3)[::order])
    assert once.size == again.size == 1000
    assert (once.hashes == again.hashes).all()
    assert len(once.hashes) == KEPT


@pytest.mark.parametrize(
    ("first", "last", "share"), [(0, 200, 1.0), (100, 300, 0.5), (200, 400, 0)]
)
def test_small_sets_are_compared_exactly(first, last, share):
    assert Sketch.of(units(0, 200)).overlap(units(first, last)) == share
    assert Sketch.of(units(0, 200)).overlap(units(first, last + 600)) <= share
    assert Sketch.of(units(0, 50)).overlap(units(25, 75)) == 0.5


def test_nothing_overlaps_nothing():
    assert Sketch.of(units(0, 0)).overlap(units(0, 9)) == 0.0
    assert Sketch.of(units(0, 9)).overlap(units(0, 0)) == 0.0


def test_a_sketch_of_a_far_larger_set_tells_nothing_and_counts():
    assert Sketch.of(units(0, 1_000_000)).overlap(units(5_000_000, 5_000_002)) in (0.0, 1.0)
    large = Sketch(size=10**9, hashes=np.arange(KEPT, dtype=np.uint64))
    assert large.overlap(units(0, 10)) == 1.0


def test_a_sketch_survives_its_tag():
    sketch = Sketch.of(units(0, 5000))
    text = json.dumps(sketch.to_json())
    assert len(text) < 3000  # MLflow takes 5,000 characters, some stores no more
    back = Sketch.from_json(json.loads(text))
    assert back.size == 5000
    assert (back.hashes == sketch.hashes).all()
    with pytest.raises(ValueError, match="units need"):
        Sketch.from_json({**sketch.to_json(), "size": 9})


@pytest.mark.parametrize(
    ("ratio", "share"),
    [(r, s) for r in (0.5, 1, 3) for s in (0.1, 0.4, 0.6, 0.9) if s <= r],
)
def test_the_estimate_is_within_its_error(ratio, share):
    """An earlier set as large as today's is a sample of 256: half is told to within 0.03."""
    size, errors = 4000, []
    common = int(size * share)
    for draw in range(40):
        start = draw * 100_000
        now = units(start, start + size)
        new = units(start + 50_000, start + 50_000 + int(ratio * size) - common)
        errors.append(Sketch.of(np.concatenate([now[:common], new])).overlap(now) - share)
    allowed = np.sqrt(share * (1 - share) / (KEPT / max(ratio, 1)))
    assert abs(np.mean(errors)) < 3 * allowed / np.sqrt(40)
    assert np.sqrt(np.mean(np.square(errors))) < 1.3 * allowed
