"""What changed between two splits, in words; what a row is known by; when a row came to be."""

import numpy as np
import pandas as pd
import pytest

from flows.identity import from_hexadecimal, hexadecimal
from flows.scheme import differences, identity_digest
from flows.timeline import known_ticks

SCHEME = {
    "version": 1, "algorithm": "penstock-identity-1", "by": "row", "id": [], "group": None,
    "time": None, "test": 0.2, "validation": 0.2, "seed": 0, "columns": ["a", "b"],
    "salt": "side:0:1", "fold_salt": None, "folds": 5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"test": 0.3}, ["split.test was 0.2 and is 0.3"]),
        ({"seed": 1, "salt": "side:1:0"}, [
            "split.seed was 0 and is 1", "the salt of the sides was side:0:1 and is side:1:0"
        ]),
        ({"id": ["고객", "day"], "columns": []}, ["data.id was none and is 고객, day"]),
        ({"group": "house"}, ["data.group was none and is house"]),
        ({"columns": ["b", "c"]}, [
            "a row is no longer known by a", "a row is now also known by c"
        ]),
        ({"columns": ["b", "a"]}, ["the order of the columns changed"]),
        ({"folds": 0}, ["the number of folds was 5 and is 0"]),
        ({"fold_salt": "fold:0:5:1", "version": 2, "merged": {}}, []),
    ],
)  # fmt: skip
def test_what_changed_between_two_splits_is_said_in_words(change, said):
    assert differences(SCHEME, {**SCHEME, **change}) == said


def test_a_row_is_known_by_the_same_whatever_the_sides():
    digest = identity_digest(SCHEME)
    assert identity_digest({**SCHEME, "seed": 1, "salt": "x", "test": 0.5, "folds": 0}) == digest
    for change in ({"id": ["k"]}, {"group": "g"}, {"columns": ["a"]}, {"by": "time"}):
        assert identity_digest({**SCHEME, **change}) != digest


def test_identities_are_read_as_they_were_written():
    hashes = np.array([0, 1, 2**64 - 1, 0x0123456789ABCDEF], np.uint64)
    assert (from_hexadecimal(hexadecimal(hashes).tolist()) == hashes).all()
    assert len(from_hexadecimal([])) == 0
    with pytest.raises(ValueError, match="2 identities need 16 digits each"):
        from_hexadecimal(["01", "02"])


@pytest.mark.parametrize(
    ("cells", "dates", "ticks"),
    [
        (pd.to_datetime(pd.Series(["1970-01-01T00:00:01", None])), True, [1e6, np.nan]),
        (pd.to_datetime(pd.Series(["1970-01-01T01:00:00+01:00"])), True, [0.0]),
        (pd.Series(["1970-01-02", "not a day"]), True, [86_400e6, np.nan]),
        (pd.Series([3, None, 1], dtype="Int64"), False, [3.0, np.nan, 1.0]),
        (pd.Series(["2020", "2021.5"]), False, [2020.0, 2021.5]),
    ],
)
def test_times_are_microseconds_or_the_numbers_themselves(cells, dates, ticks):
    found, are_dates = known_ticks(cells)
    assert are_dates == dates
    np.testing.assert_array_equal(found, ticks)


def test_the_ledger_keeps_the_time_of_each_row_where_one_is_declared(tmp_path):
    from flows.spec import Spec
    from flows.split import split
    from flows.tables import read_parquet, write_parquet

    days = pd.date_range("2024-01-01", periods=60, freq="D")
    frame = pd.DataFrame({"x": np.arange(60.0), "day": days, "y": ["a", "b"] * 30})
    write_parquet(frame.assign(__row__=np.arange(60)), tmp_path / "clean.parquet")
    data = {"source": "x.csv", "target": "y", "time": "day"}
    spec = Spec.model_validate({"name": "n", "data": data, "split": {"folds": 0}})
    facts = split(spec, tmp_path / "clean.parquet", tmp_path)
    assert facts["time"] == {"column": "day", "dates": True}
    ledger = read_parquet(tmp_path / "ledger.parquet")
    assert (pd.to_datetime(ledger["time"], unit="us") == days).all()
