from __future__ import annotations

import datetime as dt

import pytest

from expectations.column import Column
from expectations.contract import Contract
from expectations.history import Freshness, History, failures, newest

NOW = dt.datetime(2026, 1, 10, 12, tzinfo=dt.UTC)
COLUMNS = {
    "t": Column(role="time", kind="date"),
    "y": Column(role="target", kind="category"),
}
PAST = [{"rows": n, "newest": f"2026-01-0{n // 100}"} for n in (700, 800, 900)]


def judged(rows=800, cell="2026-01-10", past=PAST, **values):
    made = Contract(columns=COLUMNS, **values)
    return {f.rule: f for f in failures(made, rows, cell, past, NOW)}


@pytest.mark.parametrize(
    ("rows", "said"),
    [(400, None), (399, "at least 400 rows, 50% fewer"), (1601, "at most 1,600 rows, 100% more")],
)
def test_rows_are_told_from_the_median_of_earlier_runs(rows, said):
    found = judged(rows, history=History(fewer=0.5, more=1.0))
    assert (said is None) == (not found)
    if said:
        message = found["table.rows_history"].message
        assert said in message
        assert "the median of 3 earlier runs (800)" in message
        assert found["table.rows_history"].severity == "warning"


def test_without_earlier_runs_nothing_is_told_from_them():
    rules = {"history": History(fewer=0.5), "freshness": Freshness()}
    assert judged(1, past=[], **rules) == {}


def test_only_the_newest_runs_count():
    past = [{"rows": 10_000}] * 5 + [{"rows": 100}] * 2
    assert judged(100, past=past, history=History(fewer=0.5, runs=2)) == {}


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("2026-01-09T12:00:01", None),
        ("2026-01-09", "may be 1d old, 2026-01-09 is 1.5 days old"),
        (None, "must have a date that says how new it is, column t gives none"),
    ],
)
def test_the_newest_cell_may_be_so_old(cell, said):
    found = judged(cell=cell, freshness=Freshness(max_age="1d", may_go_back=True))
    assert [f.message for f in found.values()] == (
        [] if said is None else [found["table.freshness"].message]
    )
    if said:
        assert said in found["table.freshness"].message


def test_naive_dates_are_taken_to_be_in_the_zone_that_is_said():
    rule = Freshness(max_age="24h", may_go_back=True, timezone="Asia/Seoul")
    assert "table.freshness" in judged(cell="2026-01-09T20:59:00", freshness=rule)
    assert judged(cell="2026-01-09T21:01:00", freshness=rule) == {}


def test_a_table_may_not_go_back_behind_an_earlier_run():
    found = judged(cell="2026-01-08", freshness=Freshness())
    assert "is 2026-01-08, an earlier run has seen 2026-01-09" in found["table.freshness"].message


def test_what_is_accepted_binds_and_a_severity_by_hand_wins():
    rule = {"history": History(fewer=0.1)}
    assert judged(1, accepted=True, **rule)["table.rows_history"].severity == "critical"
    later = {"history": History(fewer=0.1, accepted=False)}
    assert judged(1, accepted=True, **later)["table.rows_history"].severity == "warning"
    by_hand = {"history": History(fewer=0.1, severity="critical")}
    assert judged(1, **by_hand)["table.rows_history"].severity == "critical"


def test_the_newest_cell_is_told_from_the_profile():
    made = Contract(columns=COLUMNS)
    profile = {"columns": [{"name": "t", "seen": "date", "max": "2026-01-05"}]}
    assert newest(made, profile) == "2026-01-05"
    assert newest(made, {"columns": [{"name": "t", "seen": "number", "max": 3}]}) is None


@pytest.mark.parametrize("text", ["2 days", "d", "-1d", "1y"])
def test_a_duration_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="must be a duration"):
        Freshness(max_age=text)


def test_a_zone_that_is_none_is_refused():
    with pytest.raises(ValueError, match="must be a time zone"):
        Freshness(timezone="Mars/Base")
