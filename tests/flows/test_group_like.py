"""An id that repeats is said once, and nothing else is taken for one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from flows.propose import propose

RNG = np.random.default_rng(0)
N = 4_000


def remarks(folder, **columns):
    frame = pd.DataFrame({"pay": RNG.normal(size=N), **columns, "bought": ["yes", "no"] * (N // 2)})
    frame.to_csv(folder / "shop.csv", index=False)
    found = propose("shop.csv", "bought", folder=folder)
    said = [line for line in found.warnings if "an id that repeats" in line]
    assert all(line[:40] in found.settings_text for line in said)
    return said


CUSTOMERS = RNG.choice(RNG.integers(10_000, 99_999, 400), N)
REPEATED = {
    "customer_id": CUSTOMERS,
    "CustomerID": CUSTOMERS % 700,
    "user id": np.char.add("u", (CUSTOMERS % 700).astype(str)),
    "invoice_no": CUSTOMERS,
    "고객번호": CUSTOMERS,
    "customer": CUSTOMERS,
    "plot": RNG.choice(np.arange(200_000, 200_500), N),
}


@pytest.mark.parametrize("name", REPEATED)
def test_an_id_that_repeats_is_said_with_what_to_set(tmp_path, name):
    (said,) = remarks(tmp_path, **{name: REPEATED[name]})
    distinct = len(np.unique(REPEATED[name]))
    assert said.startswith(
        f"{name} may be an id that repeats: {distinct:,} values in 4,000 cells, "
    )
    assert f'set group = "{name}" in [data] and by = "group" in [split]' in said


DAYS = pd.Timestamp("2021-01-01") + pd.to_timedelta(RNG.integers(0, 700, N), "D")
ORDINARY = {
    "price": np.exp(RNG.normal(10.5, 0.3, N)).round().clip(10_000, 99_999).astype(int),
    "salary": RNG.integers(100, 900, N) * 100,
    "year": RNG.integers(1_900, 2_020, N),
    "serial day": RNG.integers(42_000, 44_500, N),
    "day": DAYS.strftime("%Y%m%d"),
    "month": DAYS.strftime("%Y%m"),
    "moment": DAYS.as_unit("s").astype("int64"),
    "age": RNG.integers(18, 90, N),
    "sqft": RNG.integers(300, 9_000, N),
    "customer_id": np.arange(N) + 10_000,
    "paid": RNG.permutation(N) + 10_000,
    "store_id": RNG.integers(0, 9, N),
    "rooms_no": RNG.integers(1, 40, N),
    "valid": RNG.integers(0, 400, N),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_whole_numbers_are_none(tmp_path, name):
    assert remarks(tmp_path, **{name: ORDINARY[name]}) == []


def test_nothing_is_said_where_the_rows_are_divided_already(tmp_path):
    frame = pd.DataFrame({"customer_id": CUSTOMERS, "bought": ["yes", "no"] * (N // 2)})
    for name in ("shop.csv", "test.csv"):
        frame.to_csv(tmp_path / name, index=False)
    found = propose("shop.csv", "bought", folder=tmp_path, test="test.csv")
    assert not [line for line in found.warnings if "an id that repeats" in line]


def test_many_of_them_are_counted(tmp_path):
    names = [f"{word}_id" for word in ("shop", "user", "item", "tour", "seat")]
    said = remarks(tmp_path, **{name: RNG.permutation(CUSTOMERS) for name in names})
    assert len(said) == 4
    assert said[-1] == "2 more columns look like an id that repeats"
