"""What becomes of findings: levels, acceptance, and what a person is told to paste."""

import pytest

from expectations.leaks import Accepted, Leak, advice, failure, judged, unmatched

SURE = Leak(type="illegitimate", kind="copy", columns=("x", "z"), sure=True, sentence="x is y")
DOUBT = Leak(type="duplicates", kind="near", sentence="some rows", numbers={"rows": 3})


@pytest.mark.parametrize(
    ("level", "grave"), [("auto", [True, False]), ("error", [True, True]), ("warn", [False, False])]
)
def test_a_level_says_what_refuses(level, grave):
    found = judged([SURE, DOUBT], {"illegitimate": level, "duplicates": level}, [])
    assert [each.refuses for each in found] == grave


def test_a_type_that_is_off_is_left_out():
    assert [j.leak for j in judged([SURE, DOUBT], {"illegitimate": "off"}, [])] == [DOUBT]


def test_what_is_accepted_stays_with_its_reason_and_refuses_nothing():
    word = Accepted(type="illegitimate", column="x", reason="it is known before")
    found = judged([SURE], {}, [word])[0]
    assert not found.refuses
    assert found.to_json()["accepted"] == "it is known before"
    rows = Accepted(type="duplicates", column=None, reason="fine")
    assert judged([DOUBT], {"duplicates": "error"}, [rows])[0].accepted == "fine"
    assert judged([SURE], {}, [Accepted(type="illegitimate", column=None, reason="no")])[0].refuses


def test_acceptances_that_nothing_needs_are_told():
    word = Accepted(type="temporal", column=None, reason="none")
    assert unmatched([SURE], [word]) == [word]


def test_advice_can_be_pasted():
    import tomllib

    said = advice(Leak(type="illegitimate", kind="copy", columns=('a "b"',), sentence="s"))
    lines = said.split("; ")
    assert tomllib.loads(lines[0].partition("[data] ")[2]) == {"drop": ['a "b"']}
    entry = tomllib.loads(lines[1].partition("[leaks] ")[2])["accept"][0]
    assert entry == {"type": "illegitimate", "column": 'a "b"', "reason": "why it is no leak"}


def test_a_failure_counts_rows_or_names_the_column():
    assert failure(judged([DOUBT], {}, [])[0], 10).total == 10
    assert failure(judged([SURE], {}, [])[0], 10).column is None  # two columns
