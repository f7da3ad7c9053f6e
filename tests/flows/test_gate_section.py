"""The report's section on slices, rates, coverage and moved rows: what it says, and that it escapes."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from linear_world import World

from flows.gate_section import section
from flows.report import _environment, report

EVIL = '<img src=x onerror="alert(1)">'


def page(found) -> str:
    """Render the section as the report does: its macros, then the block."""
    environment = _environment()
    macros = environment.loader.get_source(environment, "report.html.j2")[0].split("<!DOCTYPE")[0]
    return environment.from_string(macros + '{% include "gate.html.j2" %}').render(gate=found)


def cell(rows: int, value: float | None) -> dict:
    reach = None if value is None else 0.05
    low, high = (None, None) if value is None else (value - reach, value + reach)
    return {"rows": rows, "value": value, "low": low, "high": high}


def evidence(**more) -> dict:
    found = [
        ("age > 60", "declared", 80, 0.7),
        (f"{EVIL} = a", "automatic", 120, 0.65),
        ("sex = 남", "declared", 20, 0.9),
    ]
    return {
        "task": "binary",
        "slices": {
            "metric": "roc_auc",
            "min_support": 50,
            "definitions": [],
            "whole": {"test": cell(400, 0.8), "validation": cell(900, 0.81)},
            "found": [
                {
                    "name": name,
                    "found": kind,
                    "test": cell(rows, value),
                    "validation": cell(rows, value),
                    "harm": 0.8 - value,
                }
                for name, kind, rows, value in found
            ],
            "left_out": 0,
        },
        **more,
    }


JUDGED = [
    {
        "name": "age > 60",
        "found": "declared",
        "rows": 70,
        "value": -0.08,
        "low": -0.12,
        "high": -0.04,
        "state": "harmed",
        "reason": "",
    },
    {
        "name": "sex = 남",
        "found": "declared",
        "rows": 18,
        "value": None,
        "low": None,
        "high": None,
        "state": "not judged",
        "reason": "18 rows are fewer than gate.min_support = 50",
    },
]


def test_without_a_champion_it_says_where_the_model_is_worst():
    found = section(evidence())
    assert found["slices"]["sentence"].startswith("The model is worst where age > 60")
    text = page(found)
    assert "Against the champion" not in text
    assert text.count("too few rows") == 1


def test_harmed_slices_stand_first_with_their_reason():
    found = section(evidence(), JUDGED)
    assert found["slices"]["rows"][0]["name"] == "age > 60"
    assert found["slices"]["sentence"] == (
        "Against the champion 1 of 2 slices got worse, 0 did not, and 1 have too few rows to tell."
    )
    text = page(found)
    assert '<span class="tag bad">harmed</span>' in text
    assert "18 rows are fewer than gate.min_support = 50" in text


def test_names_are_escaped():
    direction = {"text": EVIL, "holds": None, "sentence": f"{EVIL} could not be tried"}
    levels = [{"level": EVIL, "rows": 60, "rates": {"accuracy": cell(0, 0.5)}}]
    column = {"column": EVIL, "levels": levels, "gaps": [], "small": [], "note": EVIL}
    text = page(section(evidence(direction_tests=[direction], fairness=[column]), JUDGED))
    assert "<img" not in text
    assert text.count("&lt;img") >= 5


def test_nothing_that_was_looked_at_is_no_section():
    assert section(None) is None
    assert section({"task": "binary"}) is None
    bare = evidence()
    bare["slices"]["found"] = []
    assert section(bare) is None


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_evidence_of_a_run_is_shown_whole(tmp_path, task):
    target = "c" if task == "multiclass" else "y"
    gate = {
        "slices": ["noise"],
        "fairness": ["noise"],
        "conformal": 0.8,
        "directions": [f"increase 길이 -> not higher {target}"],
        "min_support": 10,
    }
    found = World(tmp_path, task).assess(gate=gate)
    report({"name": "n", "verdict": {}}, {"evidence": found}, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text("utf-8")
    text = text[text.index('<section id="slices">') :].partition("</section>")[0]
    for heading in ("Slices", "Rates between the levels of", "Coverage", "When rows are moved"):
        assert heading in text
    assert '<span class="tag bad">broken</span>' in text
    assert "{{" not in text
    _Balanced().feed(text + "</section>")


class _Balanced(HTMLParser):
    """Every element that is opened is closed, in order."""

    EMPTY = ("br", "line", "circle", "rect", "polyline")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag
