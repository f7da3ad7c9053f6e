from __future__ import annotations

import os
import subprocess
import sys
import unicodedata

import numpy as np
import pandas as pd
import pytest

from flows.identity import ALGORITHM, hexadecimal, identities, salted

CODE = """
import pandas as pd
from flows.identity import hexadecimal, identities
frame = pd.DataFrame({"n": [1.5, None], "c": ["가나", None], "d": pd.to_datetime(["2024-02-03", None])})
print(*hexadecimal(identities(frame, ["n", "c", "d"], as_text=False)))
print(*hexadecimal(identities(frame.assign(i=[7, 8]), ["i"], as_text=True)))
"""

RECORDED = ["1930e82991c12eb7", "c4745423044ca972", "f4fc501046ab4b05", "5fe5086d3497f2c1"]


def one(value, *, as_text=False, dtype=None):
    return identities(pd.DataFrame({"a": pd.Series([value], dtype=dtype)}), ["a"], as_text=as_text)[
        0
    ]


@pytest.mark.parametrize("seed", ["0", "12345"])
def test_the_recorded_algorithm_gives_the_recorded_numbers(seed):
    # A change here breaks every recorded split: it needs a new name of the algorithm.
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    command = [sys.executable, "-c", CODE]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ALGORITHM == "penstock-identity-1"
    assert out.stdout.split() == RECORDED


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((0.0, None), (-0.0, None)),
        ((1, "int64"), (1.0, "float64")),
        ((1, "Int64"), (1.0, "float32")),
        ((True, "bool"), (1.0, "float64")),
        ((float("nan"), "float64"), (None, "Int64")),
        ((unicodedata.normalize("NFD", "나이"), None), ("나이", None)),
        ((" x ", None), ("x", None)),
        (("x", "category"), ("x", "str")),
        (
            (pd.Timestamp("2024-01-01 09:00", tz="Asia/Seoul"), None),
            (pd.Timestamp("2024-01-01"), None),
        ),
    ],
)
def test_one_value_is_one_identity_however_it_is_held(a, b):
    assert one(a[0], dtype=a[1]) == one(b[0], dtype=b[1])


@pytest.mark.parametrize(
    ("a", "b"), [(1.0, 2.0), ("x", "X"), ("", None), (1.0, None), (0.1 + 0.2, 0.3)]
)
def test_other_values_are_other_identities(a, b):
    assert one(a) != one(b)


def test_declared_ids_are_texts():
    assert one(7, as_text=True) == one("7", as_text=True) == one(7.0, as_text=True)
    assert one("007", as_text=True) != one("7", as_text=True)
    big = 2**53 + 1
    assert one(big, as_text=True) == one(str(big), as_text=True) != one(str(big - 1), as_text=True)


def test_cells_are_told_apart_by_column():
    frame = pd.DataFrame({"a": ["x", "y"], "b": ["y", "x"]})
    first, second = identities(frame, ["a", "b"], as_text=False)
    assert first != second


def test_identities_do_not_depend_on_other_rows_or_their_order():
    frame = pd.DataFrame({"a": np.arange(100.0), "b": [f"v{i % 7}" for i in range(100)]})
    whole = identities(frame, ["a", "b"], as_text=False)
    turned = identities(frame[::-1].iloc[:50], ["a", "b"], as_text=False)
    assert (turned == whole[::-1][:50]).all()


def test_salted_hashes_are_spread_evenly_and_independent_of_other_salts():
    hashes = identities(pd.DataFrame({"a": np.arange(20_000)}), ["a"], as_text=False)
    one_salt, other = salted(hashes, "a"), salted(hashes, "b")
    counts, _ = np.histogram(one_salt, bins=20, range=(0, 1))
    assert ((counts - 1000) ** 2 / 1000).sum() < 50  # chi-square, 19 degrees of freedom
    assert abs(np.corrcoef(one_salt, other)[0, 1]) < 0.03


def test_hexadecimal_has_sixteen_digits():
    found = hexadecimal(np.array([0, 255, 2**64 - 1], np.uint64))
    assert found.tolist() == ["0" * 16, "00000000000000ff", "f" * 16]
