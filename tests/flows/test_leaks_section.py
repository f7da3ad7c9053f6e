"""What the report says of leaks and drift."""

from expectations.leaks import TYPES, WORDS
from flows.leaks_section import section, summary_of
from flows.report import report

FOUND = {
    "type": "illegitimate",
    "kind": "strong",
    "columns": ["<b>x"],
    "level": "warn",
    "accepted": None,
    "sentence": "<b>x alone predicts the target",
    "numbers": {},
    "advice": "drop it",
}
TYPE = [{"type": name, "words": WORDS[name], "level": "auto", "findings": 0} for name in TYPES]
LEAKS = {"types": TYPE, "findings": [FOUND], "unmatched": []}
FLOWN = {"rows": 90, "folds": 5, "compared": 17, "notes": [], "findings": []}


def test_a_run_that_ended_before_has_no_block():
    assert summary_of({}) is None
    assert section(None, None) is None


def test_findings_of_table_and_canary_stand_together_and_are_counted_by_type():
    moved = FOUND | {"type": "selection", "accepted": "a reason"}
    found = section(summary_of({"leaks": LEAKS, "canary": FLOWN | {"findings": [moved]}}), None)
    counts = {each["type"]: each["findings"] for each in found["types"]}
    assert (counts["illegitimate"], counts["selection"], counts["temporal"]) == (1, 1, 0)
    assert found["sentence"] == "2 found, 1 accepted."
    assert [each["word"] for each in found["findings"]] == ["warn", "accepted"]


def test_the_page_has_the_block_and_escapes_names(tmp_path):
    leaks = summary_of({"leaks": LEAKS, "canary": FLOWN})
    drift = {"status": "unknown", "sentence": "drift was not looked at: gone", "columns": []}
    report({"name": "n", "leaks": leaks, "drift": drift}, {}, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "none of 17 learned states moved by a bit" in page
    assert "Drift was not looked at: gone." in page
    assert "&lt;b&gt;x alone predicts" in page
    assert "<b>x alone" not in page
