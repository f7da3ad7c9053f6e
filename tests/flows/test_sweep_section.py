"""What a report, a summary and a terminal say of a sweep, from one that was recorded."""

import re

import pytest

from flows.report import report
from flows.sweep_charts import history, parallel
from flows.sweep_section import section, summary_of
from flows.verdict import as_text


def trial(number, score, state="finished", **parameters):
    return {
        "number": number,
        "state": state,
        "reason": "loss <b>NaN</b>" if state == "failed" else "",
        "score": score,
        "error": 0.02 if score else None,
        "epochs": 9,
        "seconds": 1.5,
        "parameters": {"lr": 1e-3 * (number + 1), "depth": 1 + number % 2, **parameters},
    }


@pytest.fixture
def found():
    trials = [trial(0, 0.5), trial(1, 0.42), trial(2, 0.41), trial(3, 0.6, "pruned")]
    trials += [trial(4, None, "failed"), trial(5, 90.0, "pruned", heads=8)]
    best = trials[2]
    return {
        "unit": "log loss",
        "sampler": "tpe",
        "trials": trials,
        "space": {"lr": {"low": 1e-3, "high": 1e-2, "log": True}, "depth": [1, 2], "heads": [8]},
        "published": True,
        "halving": {"factor": 3},
        "best": {**best, "within_one_error": 2},
        "first": {"number": 0, "state": "finished", "score": 0.5},
        "rungs": [{"epoch": 3, "entered": 5, "left": 3}],
        "importance": {"shares": {"lr": 0.9, "depth": 0.1}, "trials": 5, "epoch": 3},
        "notes": ["2 trials were divided: out of memory"],
        "stopped": "budget",
        "seconds": 61.4,
        "finished": 3,
        "pruned": 2,
        "failed": 1,
    }


def page(found, tmp_path, fitted=None):
    summary = {"name": "n", "verdict": {}, "sweep": summary_of(found)}
    report(summary, {"sweep": found, "fitted": fitted or {}}, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text("utf-8")
    return text[text.index('id="sweep"') :]


def plain(text):
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def test_the_report_says_what_was_tried_what_was_best_and_how_sure_that_is(found, tmp_path):
    said = plain(page(found, tmp_path))
    assert (
        "6 trials in 61 s, as long as the budget allowed (3 finished, 2 pruned, 1 failed)" in said
    )
    assert "best is trial 2, log loss 0.41 \N{PLUS-MINUS SIGN} 0.02" in said
    assert "One other trial lies within one standard error of the best" in said
    assert "default settings were tried first and came to 0.5; the best trial is 0.09 below" in said
    assert "0.001 to 0.01 (logarithmic)" in said


def test_the_report_shows_history_coordinates_importance_rungs_and_leaders(found, tmp_path):
    text = page(found, tmp_path)
    for caption in ("Score by trial", "Parameters and score", "Importance", "Rungs"):
        assert f"<figcaption>{caption}</figcaption>" in text
    assert '<td class="n">3</td><td class="n">5</td><td class="n">3</td>' in text
    leaders = text[text.index("The best trials") :]
    assert leaders.index("0.4100") < leaders.index("0.4200") < leaders.index("0.5000")
    assert "loss &lt;b&gt;NaN&lt;/b&gt;" in text


def test_the_report_says_what_the_ensemble_bought(found, tmp_path):
    chosen = {"ensemble": {"kind": "greedy", "gain": 0.0123, "standard_error": 0.004}}
    assert "The ensemble is 0.012 \N{PLUS-MINUS SIGN} 0.004 better" in plain(
        page(found, tmp_path, chosen)
    )
    alone = {"ensemble": {"kind": "best", "gain": 0.001, "standard_error": 0.004}}
    assert "did not beat the single best candidate" in plain(page(found, tmp_path, alone))


def test_a_learning_curve_is_told_where_there_is_one(found):
    points = [
        {"share": n / 4, "rows": 10 * n, "score": 1 / n, "error": 0.01, "train": 0.1, "scores": []}
        for n in (1, 2, 4)
    ]
    found["learning_curve"] = {"points": points, "helps": True, "sentence": "More rows help."}
    said = section({"sweep": summary_of(found)}, {"sweep": found})
    assert said is not None
    assert said["curve"] == "More rows help."
    assert [figure["title"] for figure in said["figures"]][-1] == "Learning curve"


def test_without_a_sweep_there_is_no_section_and_no_line(tmp_path):
    assert summary_of(None) is None
    report({"name": "n", "verdict": {}, "sweep": None}, {}, tmp_path / "r.html")
    assert 'id="sweep"' not in (tmp_path / "r.html").read_text("utf-8")


def test_a_run_s_end_on_the_terminal_has_one_line_about_the_sweep(found):
    summary = {
        "verdict": {"sentence": "Promoted."},
        "folder": "runs/1",
        "links": {"mlflow": "m"},
        "sweep": summary_of(found),
    }
    (line,) = [line for line in as_text(summary).splitlines() if "trial" in line]
    assert line.startswith("  sweep     6 trials in 61 s")


def test_what_is_far_worse_does_not_flatten_the_history(found):
    drawn = history(found)
    assert drawn is not None
    assert "upper edge" in drawn["note"]
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)"', str(drawn["svg"]))]
    assert max(heights) - sorted(heights)[1] > 50  # the finished ones are spread, not on one line


def test_a_sweep_of_one_trial_or_of_failures_has_no_plot_of_lines(found):
    one = {**found, "trials": found["trials"][:1]}
    assert parallel(one) is None
    assert history({**found, "trials": found["trials"][4:5]}) is None
