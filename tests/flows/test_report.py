"""The page: whole, self-contained, honest about what is absent, and safe whatever things are called."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from flows import report as module
from flows.figures import diagnosis
from flows.report import report

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = '<script>alert("1")</script>'
TRICKY = "evil\u202egnp.exe\x1b[31m"
VOID = {"meta", "br", "hr", "img", "rect", "line", "circle", "polyline", "input", "link"}


class Page(HTMLParser):
    """Checks that tags are balanced and collects elements and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def ids(self) -> set[str]:
        return {str(attrs["id"]) for tag, attrs in self.tags if "id" in attrs and tag != "meta"}


def span(value: float) -> dict[str, Any]:
    return {
        "value": value,
        "low": value - 0.02,
        "high": value + 0.02,
        "standard_error": 0.01,
        "method": "bootstrap",
        "resamples": 1000,
    }


def rung(name: str, value: float, gain: float) -> dict[str, Any]:
    return {
        "name": name,
        "label": name,
        "seconds": 0.2,
        "failed": None,
        "metrics": {side: {"roc_auc": span(value)} for side in ("validation", "test")},
        "gain": {side: {"metric": "roc_auc", **span(gain)} for side in ("validation", "test")},
    }


def evidence(name: str = HOSTILE) -> dict[str, Any]:
    curve = {
        "roc": {"false_positive_rate": [0.0, 0.1, 1.0], "true_positive_rate": [0.0, 0.8, 1.0]},
        "precision_recall": {"recall": [0.0, 0.8, 1.0], "precision": [1.0, 0.9, 0.4]},
        "prevalence": 0.4,
    }
    return {
        "version": 1,
        "task": "binary",
        "target": name,
        "classes": [name, "양성"],
        "positive": "양성",
        "metric": "roc_auc",
        "directions": {"roc_auc": "max", "log_loss": "min"},
        "weighted": False,
        "rows": {"validation": 400, "test": 100},
        "identities": {"validation": 400, "test": 100},
        "metrics": {
            side: {"roc_auc": span(0.9), "log_loss": span(0.3)} for side in ("validation", "test")
        },
        "notes": [],
        "ladder": [rung("dummy", 0.5, 0.4), rung("linear", 0.89, 0.01)],
        "comparison": {"rung": "linear", "better": "undecided", "sentence": "On test level."},
        "confusion": {
            "labels": [name, "양성"],
            "counts": [[50, 5], [3, 42]],
            "confused": [{"true": name, "predicted": "양성", "rows": 5}],
            "classes": [{"label": name, "rows": 55, "precision": 0.9, "recall": 0.9, "f1": None}],
        },
        "curves": {"validation": curve, "test": curve},
        "calibration": [{"predicted": 0.2, "observed": 0.25, "low": 0.1, "high": 0.4, "rows": 50}],
        "importance": {
            "unit": "rise of the log loss",
            "rows": 400,
            "of_rows": 400,
            "repeats": 5,
            "columns_left_out": 0,
            "columns": [{"column": name, **span(0.1)}, {"column": TRICKY, **span(0.0)}],
        },
        "worst": [
            {
                "source": name,
                "record": 7,
                "true": name,
                "predicted": "양성",
                "probability": 0.01,
                "loss": 4.6,
                "cells": {name: HOSTILE, TRICKY: "1"},
            }
        ],
    }


def column(name: str, **more: Any) -> dict[str, Any]:
    found = {"name": name, "role": "feature", "kind": "number", "min": 0.0, "max": 9.5}
    return found | {"missing_share": 0.25, "association": 0.5, "flags": ["sparse"]} | more


def whole(name: str = HOSTILE) -> tuple[dict[str, Any], dict[str, Any]]:
    failure = {
        "rule": f"{name}.range",
        "column": name,
        "severity": "warning",
        "count": 12,
        "total": 569,
        "message": "must lie between 0 and 9",
        "advice": "accept it",
        "examples": [{"row": 17, "value": name, "source": name}],
    }
    member = {
        "fold": 0,
        "seed": 1,
        "train": [0.7, 0.4, 0.3],
        "validation": [0.7, 0.5, 0.6],
        "best_epoch": 1,
        "stopped": "patience",
        "failed": None,
        "weight": 1.0,
    }
    summary = {
        "name": name,
        "task": "binary",
        "target": name,
        "run": "20260101T030000-ab12cd34",
        "started": "2026-01-01T03:00:00Z",
        "seconds": 31.4,
        "stages": [{"name": "load", "seconds": 0.4, "reused": True, "key": "ab"}],
        "verdict": {
            "outcome": "promoted",
            "reasons": ["roc_auc is at least 0.8"],
            "metric": "roc_auc",
            **span(0.9),
        },
        "failures": [],
        "rows": {"read": 503, "quarantined": 3, "train": 400, "test": 100},
        "contract": {"digest": "ff", "accepted": True, "failures": 0, "warnings": 1},
        "alarms": [{"kind": "leak", "column": name, "message": f"{name} tells the target"}],
        "registered": {
            "model": name,
            "version": 3,
            "aliases": ["champion"],
            "uri": f"models:/{name}@champion",
            "manifest": {"graph.onnx": "a" * 64},
        },
        "blessings": {"mechanical": {"passed": True, "detail": "as trained"}},
        "digests": {"data": "d" * 64},
        "settings": {"name": name, "gate": {"floors": {"roc_auc": 0.8}}},
        "versions": {"python": "3.11.7"},
        "links": {"mlflow": "http://127.0.0.1:5000/#/x", "prefect": "javascript:alert(1)"},
    }
    histogram = {"edges": [0, 1, 2], "counts": [3, 5], "below": 0, "above": 0}
    parts = {
        "profile": {
            "columns": [
                column(name, histogram=histogram),
                column("도시", kind="category", levels=[[name, 3], ["서울", 2]], distinct=9),
                column(TRICKY, min=None),
            ],
            "pairs": [{"a": name, "b": TRICKY, "correlation": 0.99}],
        },
        "validation": {"failures": [], "warnings": [failure]},
        "split": {"counts": {"train": {"rows": 400, "classes": {name: 200}}}, "reasons": [name]},
        "curves": {"members": [member], "loss": "log loss"},
        "fitted": {
            "network": "mlp",
            "parameters": 84322,
            "layers": [{"name": "hidden", "shape": "(30, 64)", "parameters": 1920}],
            "inputs": {"numbers": [name], "categories": ["도시"]},
            "output": {"units": 2, "why": "one unit per class"},
            "ensemble": {"kind": "greedy", "gain": 0.02, "standard_error": 0.01},
            "calibration": {"kind": "none", "gain": -0.1, "standard_error": 0.1},
            "decision": {"kind": "threshold", "threshold": 0.2},
        },
        "export": {
            "bytes": 1843200,
            "latency_ms": {"one_row": 0.9},
            "parity": {"max_difference": 2e-7, "tolerance": 1e-5},
            "signature": {"inputs": [{"name": name, "type": "number"}], "outputs": []},
        },
        "evidence": evidence(name),
        "load": {"parts": [{"name": name, "rows": 503, "bytes": 1000, "sha256": "ab"}]},
    }
    return summary, parts


def page(tmp_path: Path, summary: dict[str, Any], parts: dict[str, Any]) -> tuple[str, Page]:
    path = tmp_path / "report.html"
    report(summary, parts, path)
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


def test_a_whole_run_has_every_section(tmp_path: Path) -> None:
    _, found = page(tmp_path, *whole("신용"))
    assert found.ids() >= {"verdict", "data", "network", "evidence", "artifact", "provenance"}
    for words in ("Promoted", "0.9000", "84,322", "1.84 MB", "서울", "reused", "threshold 0.2"):
        assert words in found.text
    assert "Overfits after epoch 2" in found.text


def test_names_are_text_and_never_markup(tmp_path: Path) -> None:
    text, found = page(tmp_path, *whole(HOSTILE))
    assert not [tag for tag, _ in found.tags if tag in {"script", "img", "iframe", "object"}]
    assert not [name for _, attrs in found.tags for name in attrs if name.startswith("on")]
    assert "<script" not in text
    assert HOSTILE in found.text


def test_control_and_direction_characters_are_spelled_out(tmp_path: Path) -> None:
    text, _ = page(tmp_path, *whole(TRICKY))
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "\\u202e" in text


def test_nothing_is_fetched_and_links_go_to_web_addresses_only(tmp_path: Path) -> None:
    text, found = page(tmp_path, *whole())
    links = [attrs["href"] for tag, attrs in found.tags if tag == "a"]
    assert all(str(link).startswith(("#", "http://127.0.0.1:5000/")) for link in links)
    assert not [attrs for _, attrs in found.tags if "src" in attrs]
    assert "default-src 'none'" in text
    assert "url(" not in text
    assert "@import" not in text


def test_every_chart_has_a_title_and_a_table(tmp_path: Path) -> None:
    text, found = page(tmp_path, *whole("x"))
    drawings = [attrs for tag, attrs in found.tags if tag == "svg"]
    assert len(drawings) >= 8
    assert all(attrs.get("role") == "img" for attrs in drawings)
    assert text.count("<title>") == len(drawings) + 1
    plots = re.findall(r'<svg class="plot".*?</figure>', text, flags=re.DOTALL)
    assert len(plots) == 4
    assert all("<table>" in plot for plot in plots)


def test_tables_scroll_inside_their_own_box(tmp_path: Path) -> None:
    text, found = page(tmp_path, *whole("x"))
    assert text.count("<table") == sum(
        attrs.get("class") == "scroll" for tag, attrs in found.tags if tag == "div"
    )


@pytest.mark.parametrize("absent", ["profile", "curves", "fitted", "export", "evidence", "load"])
def test_an_absent_part_leaves_no_trace(tmp_path: Path, absent: str) -> None:
    summary, parts = whole("x")
    del parts[absent]
    text, _ = page(tmp_path, summary, parts)
    assert "None" not in text
    assert "Undefined" not in text


def test_a_refused_run_has_a_report_that_says_what_to_put_right(tmp_path: Path) -> None:
    summary, parts = whole("나이")
    failure = parts["validation"]["warnings"][0] | {"severity": "critical"}
    refused = {"name": "n", "run": "r", "failures": [failure]}
    refused["verdict"] = {"outcome": "refused", "reasons": ["the table breaks its contract"]}
    _, found = page(tmp_path, refused, {})
    assert found.ids() == {"verdict", "provenance"}
    for words in ("Data refused", "나이.range", "12 of 569", "record 17", "accept it"):
        assert words in found.text
    del summary


def test_a_failed_run_shows_its_error_and_an_empty_summary_is_no_error(tmp_path: Path) -> None:
    failed = {"name": "n", "verdict": {"outcome": "failed"}, "error": f"boom {HOSTILE}"}
    text, found = page(tmp_path, failed, {})
    assert f"boom {HOSTILE}" in found.text
    assert "<script" not in text
    page(tmp_path, {"name": "n", "verdict": {"outcome": "failed"}}, {})


def test_regression_draws_residuals_and_predicted_against_true(tmp_path: Path) -> None:
    summary, parts = whole("값")
    found = parts["evidence"] | {"task": "regression", "positive": None, "confusion": None}
    found |= {"curves": None, "calibration": [], "directions": {"roc_auc": "min"}}
    found["scatter"] = {"true": [1.0, 2.0], "predicted": [1.1, 1.9], "of_rows": 2}
    histogram = {"edges": [-1.0, 0.0, 1.0], "counts": [4, 6], "below": 0, "above": 1}
    found["residuals"] = {"mean": 0.1, "std": 0.5, "histogram": histogram}
    found["worst"] = [{"source": "a", "record": 1, "true": 1e9, "predicted": 0.5, "cells": {}}]
    text, read = page(tmp_path, summary, parts | {"evidence": found})
    assert "Residuals" in read.text
    assert "Predicted against true" in read.text
    assert "1,000,000,000" in text


def test_a_column_is_shown_as_it_is_written(tmp_path: Path) -> None:
    summary, parts = whole("x")
    parts["profile"]["columns"] = [
        column("calls", kind="category", seen="integer", min=0.0, max=2.0),
        column("paid", kind="boolean", min=0.0, max=1.0, true=["Yes"], false=["No"], distinct=2),
    ]
    _, found = page(tmp_path, summary, parts)
    assert "0 to 2" in found.text
    assert "2.000" not in found.text.split("paid")[0].split("calls")[-1]
    assert "NoYes" in re.sub(r"[\s,]", "", found.text)


def test_many_columns_and_classes_stay_bounded(tmp_path: Path) -> None:
    summary, parts = whole("x")
    parts["profile"]["columns"] = [column(f"열 {i}") for i in range(500)]
    labels = [f"class {i}" for i in range(200)]
    parts["evidence"]["confusion"] = {
        "labels": labels,
        "counts": None,
        "confused": [{"true": "class 1", "predicted": "class 2", "rows": 9}],
        "classes": [{"label": k, "rows": 1, "precision": 1, "recall": 1, "f1": 1} for k in labels],
    }
    text, found = page(tmp_path, summary, parts)
    assert "460 more columns" in found.text
    assert len(text) < 1_000_000


def test_numbers_that_are_not_finite_are_dashes(tmp_path: Path) -> None:
    summary, parts = whole("x")
    parts["evidence"]["metrics"]["test"]["log_loss"] = {"value": None, "low": None, "high": None}
    parts["curves"]["members"][0]["validation"] = [None, 0.5, 0.4]
    text, _ = page(tmp_path, summary, parts)
    assert not re.search(r"\bnan\b", text, flags=re.IGNORECASE)


def member(validation: list[float], best: int, stopped: str = "patience") -> dict[str, Any]:
    return {
        "train": [v * 0.9 for v in validation],
        "validation": validation,
        "best_epoch": best,
        "stopped": stopped,
    }


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (member([0.7, 0.5, 0.4, 0.3], 3, "epochs"), "Underfits"),
        (member([0.7, 0.4, 0.5, 0.6], 1), "Overfits after epoch 2"),
        (member([0.7, 0.4, 0.4, 0.401], 1), "no longer fell"),
        (member([0.7, 0.8, 0.9], 0), "next to nothing"),
    ],
)
def test_the_diagnosis_fits_the_curves(found: dict[str, Any], words: str) -> None:
    assert words in str(diagnosis([found]))


def test_no_curve_has_no_diagnosis() -> None:
    assert diagnosis([]) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.98434, "0.9843"),
        (0, "0"),
        (12, "12"),
        (12345, "12,345"),
        (12345.678, "12,346"),
        (1234.5, "1,234.5"),
        (0.00094, "0.00094"),
        (1e-7, "1.0e-07"),
        (float("nan"), "\N{EN DASH}"),
        (None, "\N{EN DASH}"),
        (-0.5, "-0.5000"),
        ("2020-01-01", "2020-01-01"),
        (1e300, "1.0e+300"),
    ],
)
def test_numbers_read_well(value: Any, text: str) -> None:
    assert module.number(value) == text


def test_how_to_load_it_is_python_whatever_the_name(tmp_path: Path) -> None:
    summary, _ = whole("a\"b\\c'")
    text = module.loading(summary["registered"]["uri"], summary)
    compile(text, "loading", "exec")
    assert len(text.splitlines()) == 5
    assert "http://127.0.0.1:5000" in text
    del tmp_path


def test_the_page_is_the_same_every_time(tmp_path: Path) -> None:
    summary, parts = whole("x")
    before = json.dumps([summary, parts], sort_keys=True)
    first, _ = page(tmp_path, summary, parts)
    second, _ = page(tmp_path, summary, parts)
    assert first == second
    assert json.dumps([summary, parts], sort_keys=True) == before
