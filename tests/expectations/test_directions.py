"""Directions: how a sentence is understood, which rows move, what counts as a violation."""

from __future__ import annotations

import numpy as np
import pytest

from expectations.directions import PATTERN, TOLERANCE, output, parse, try_direction
from expectations.predictions import Predictions
from flows.gate_spec import DIRECTION

ROWS = 800


def tried(text: str, rule, *, flag: bool = False, cells=None, regression: bool = False):
    """Ask a model whose answer is `rule` of its one number."""
    direction = parse(text)
    numbers = np.random.default_rng(0).normal(size=(ROWS, 1)) if cells is None else cells

    def answer(feeds, rows):
        said = rule(feeds["numbers"][:, 0])
        if regression:
            return Predictions(task="regression", target=np.zeros(len(rows)), value=said)
        shares = np.stack([1 - said, said], axis=1)
        return Predictions(
            task="binary",
            target=np.zeros(len(rows), int),
            probabilities=shares,
            label=shares.argmax(axis=1),
        )

    return try_direction(
        answer,
        {"numbers": numbers},
        direction,
        column=0,
        flag=flag,
        spread=1.0,
        output=None if regression else output(direction, "risk", ["bad", "good"]),
        target_spread=10.0,
        weight=np.ones(len(numbers)),
        unit=np.arange(len(numbers)),
    )


def rising(x):
    return 1 / (1 + np.exp(-x))


def test_settings_and_test_read_the_same_language():
    for text in ("increase age -> not lower risk", "decrease 나이 값 -> not higher yes -> no", "x"):
        assert bool(PATTERN.fullmatch(text)) == bool(DIRECTION.fullmatch(text))
    direction = parse("decrease 나이 값 -> not higher bad")
    assert (direction.move, direction.column) == ("decrease", "나이 값")
    assert (direction.never, direction.what) == ("higher", "bad")
    with pytest.raises(ValueError, match="must read"):
        parse("increase age")


def test_the_targets_name_is_the_positive_class_and_a_label_is_itself():
    two = ["bad", "good"]
    assert output(parse("increase a -> not lower risk"), "risk", two) == 1
    assert output(parse("increase a -> not lower bad"), "risk", two) == 0
    assert output(parse("increase a -> not lower price"), "price", []) is None
    with pytest.raises(ValueError, match="the nearest is 'good'"):
        output(parse("increase a -> not lower goood"), "risk", two)
    with pytest.raises(ValueError, match="must stand one of 'x', 'y', 'z', however: 'kind'"):
        output(parse("increase a -> not lower kind"), "kind", ["x", "y", "z"])


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("increase age -> not lower good", True),
        ("decrease age -> not higher good", True),
        ("increase age -> not lower risk", True),
        ("increase age -> not higher bad", True),
        ("increase age -> not lower bad", False),
        ("increase age -> not higher risk", False),
        ("decrease age -> not lower risk", False),
    ],
)
def test_a_rising_model_holds_what_rises(text, holds):
    found = tried(text, rising)
    assert found["holds"] is holds
    assert found["rows"] == ROWS
    assert (found["share"] > 0.9) is not holds


def test_violations_are_counted_beyond_a_tolerance():
    within = tried("increase age -> not higher good", lambda x: 0.5 + 0.9 * TOLERANCE * x)
    beyond = tried("increase age -> not higher good", lambda x: 0.5 + 1.1 * TOLERANCE * x)
    assert (within["violations"], beyond["violations"]) == (0, ROWS)
    assert within["largest"] == pytest.approx(0.9 * TOLERANCE)


def test_a_few_rows_may_answer_otherwise():
    dent = tried("increase age -> not lower good", lambda x: np.where(x > 2.9, 0.1, rising(x)))
    assert 0 < dent["share"] < 0.05
    assert dent["holds"]
    assert dent["sentence"].startswith("'increase age -> not lower good' holds: ")


def test_a_flag_is_moved_from_false_to_true_alone():
    cells = np.array([0.0, 1.0, np.nan, 0.0] * 100)[:, None]
    up = tried("increase age -> not lower good", lambda x: 0.2 + 0.5 * x, flag=True, cells=cells)
    assert (up["rows"], up["holds"], up["move"]) == (200, True, "increase to the other value")
    down = tried("decrease age -> not lower good", lambda x: 0.2 + 0.5 * x, flag=True, cells=cells)
    assert (down["rows"], down["violations"]) == (100, 100)


def test_missing_cells_are_not_moved_and_no_row_is_no_pass():
    cells = np.full((50, 1), np.nan)
    found = tried("increase age -> not lower good", np.nan_to_num, cells=cells)
    assert (found["rows"], found["holds"], found["share"]) == (0, None, None)
    assert "no test row could be moved" in found["sentence"]


def test_a_regressions_tolerance_is_in_the_targets_spread():
    small = tried("increase age -> not lower risk", lambda x: -0.09 * x, regression=True)
    large = tried("increase age -> not lower risk", lambda x: -0.11 * x, regression=True)
    assert (small["holds"], large["holds"]) == (True, False)
