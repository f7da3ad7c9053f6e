"""Sides, groups and time: what the ledger proves, and what it lets one suspect."""

import numpy as np
import pytest

from expectations import leaks_sides
from expectations.leaks_sides import Ledger

ROWS = 400


def ledger(**changes):
    side = np.where(np.arange(ROWS) % 5 == 0, "test", "train")
    identity = np.array([f"{k:016x}" for k in range(ROWS)])
    return Ledger(
        **({"row": np.arange(ROWS), "identity": identity, "side": side, "by": "row"} | changes)
    )


def test_a_test_set_of_its_own_says_nothing():
    assert leaks_sides.own_test_set(ledger()) == []


def test_an_identity_on_two_sides_is_sure():
    identity = np.array([f"{k // 2:016x}" for k in range(ROWS)])
    leak = leaks_sides.own_test_set(ledger(identity=identity))[0]
    assert (leak.kind, leak.sure) == ("identity", True)


def test_no_test_rows_and_a_row_that_is_there_twice_are_sure():
    found = leaks_sides.own_test_set(ledger(side=np.full(ROWS, "train"), row=np.zeros(ROWS)))
    assert {leak.kind for leak in found} == {"none", "twice"}


def test_a_group_on_both_sides_is_sure_unless_the_split_is_by_time():
    group = np.array([f"g{k % 7}" for k in range(ROWS)])
    assert leaks_sides.whole_groups(ledger(group=group, group_name="g"))[0].sure
    assert not leaks_sides.whole_groups(ledger(group=group, group_name="g", by="time"))[0].sure
    apart = np.where(ledger().judged, "a", "b")
    assert leaks_sides.whole_groups(ledger(group=apart, group_name="g")) == []


@pytest.mark.parametrize(
    ("changes", "kind", "sure"),
    [
        ({"by": "row", "by_given": False}, "mixed", True),
        ({"by": "row", "by_given": True}, "mixed", False),
        ({"by": "time"}, "order", True),
    ],
)
def test_a_declared_time_must_go_forward(changes, kind, sure):
    leak = leaks_sides.forward_in_time(ledger(time=np.arange(ROWS) * 1.0, **changes))[0]
    assert (leak.kind, leak.sure) == (kind, sure)


def test_time_that_goes_forward_is_left_alone():
    side = np.where(np.arange(ROWS) < 300, "train", "test")
    assert (
        leaks_sides.forward_in_time(ledger(side=side, time=np.arange(ROWS) * 1.0, by="time")) == []
    )


def names(column, target, name="town", textual=True):
    return leaks_sides.shared_names(name, column, ledger(), target, textual=textual)


def test_names_whose_rows_have_alike_targets_are_suspected():
    random = np.random.default_rng(0)
    who = random.integers(0, 60, ROWS)
    alike = random.normal(size=60)[who] + 0.3 * random.normal(size=ROWS)
    leak = names(who, alike)[0]
    assert leak.columns == ("town",)
    assert "[data] group" in leak.advice
    assert names(who, random.normal(size=ROWS)) == []
    assert names(who, random.normal(size=ROWS), name="patient_id")


def test_levels_and_names_of_single_rows_are_not():
    random = np.random.default_rng(0)
    target = random.normal(size=ROWS)
    assert names(random.integers(0, 5, ROWS), target, name="shop_id") == []
    assert names(np.arange(ROWS), target, name="order_id") == []


def walk(rows=ROWS):
    random, found = np.random.default_rng(0), np.zeros(rows)
    for k in range(1, rows):
        found[k] = 0.9 * found[k - 1] + random.normal()
    return found


def test_a_series_is_suspected_by_a_date_and_by_the_order_of_the_file():
    assert leaks_sides.like_time("day", np.arange(ROWS) * 1.0, ledger(), walk())[0].columns == (
        "day",
    )
    assert leaks_sides.like_series(ledger(), walk())[0].kind == "like_series"
    noise = np.random.default_rng(1).normal(size=ROWS)
    assert leaks_sides.like_series(ledger(), noise) == []


def test_a_table_that_is_sorted_by_its_target_is_no_series():
    assert leaks_sides.like_series(ledger(), np.sort(walk())) == []
    assert leaks_sides.like_series(ledger(), np.repeat([0.0, 1.0, 2.0, 1.0], ROWS // 4)) == []
