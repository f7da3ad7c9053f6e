"""A sweep in MLflow: a child run per trial, and on the parent what came of all of them.

- Everything is written by the tracker's background thread while the next group trains: a trial
  costs one call to begin, as few batches as its curves take, and one to end.
- Parameters and metrics have the same names in every child, "auto" resolved, so that MLflow's own
  compare view works on them.
- A trial is one child, however often its sweep was killed or reused: children of a run that was
  killed become those of the run that goes on; those of a run that came to its end stay there, and
  the later run says where.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from flows import sweep_charts
from flows.experiment import run_page
from flows.mlflow_errors import refusals_allowed
from flows.mlflow_items import calls, points_of
from flows.once import create_run
from flows.settings_text import value_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flows.track import Tracker

SWEEP, TRIAL, COMPLETE = "penstock.sweep", "penstock.trial", "penstock.sweep.complete"
PARENT = "mlflow.parentRunId"
FOLDER, TABLE = "sweep", "leaderboard.json"
ENDED = {"finished": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}
"""MLflow's word for how a trial ended; the tag `penstock.state` tells pruned from finished."""
LOSS = {"train": "loss/train", "validation": "loss/validation"}
LEADERS = 1_000


class Trials:
    """Writes the trials of one sweep, each once; its methods only queue."""

    def __init__(self, tracker: Tracker, key: str) -> None:
        """`key` is the stage's."""
        self.tracker, self.key = tracker, key[:32]
        self.known: dict[int, Any] | None = None
        """Child runs of this sweep by trial, of whichever parent."""
        self.written: set[int] = set()
        """Trials that need nothing more."""
        self.holder = ""
        """The run that holds the trials, where it is not ours."""
        self.parents: dict[str, bool] = {}

    def write(self, trials: Sequence[Mapping[str, Any]]) -> None:
        """Write trials, by and by."""
        self.tracker.later(self._write, list(trials))

    def end(self, found: Mapping[str, Any]) -> None:
        """Write what is missing of the trials, then what came of all of them, on the parent."""
        self.write(found["trials"])
        self.tracker.metrics(metrics(found))
        self.tracker.curves({"sweep/best": _best_by_trial(found)})
        self.tracker.later(self._leave, found)

    def _write(self, trials: Sequence[Mapping[str, Any]]) -> None:
        if self.known is None:
            self.known = self._search()
        for trial in trials:
            if trial["number"] in self.written:
                continue
            self.written.add(trial["number"])
            child = self.known.get(trial["number"])
            if child is not None and self._is_whole(child):
                self._claim(child)
            else:
                if child is not None:
                    self.tracker.client.delete_run(child.info.run_id)
                self.known[trial["number"]] = self._child(trial)

    def _search(self) -> dict[int, Any]:
        """Return the children that earlier runs have left of this very sweep."""
        client, token, found = self.tracker.client, None, dict[int, Any]()
        while True:
            page = client.search_runs(
                [self.tracker.experiment_id],
                f"tags.`{SWEEP}` = '{self.key}' AND tags.`{TRIAL}` != ''",
                max_results=1000,
                page_token=token,
            )
            found |= {int(run.data.tags[TRIAL]): run for run in page}
            if not (token := page.token):
                return found

    def _is_whole(self, child: Any) -> bool:
        return child.info.status in ENDED.values()

    def _claim(self, child: Any) -> None:
        """Make a child ours, unless it belongs to a run that has shown its whole sweep."""
        parent = child.data.tags.get(PARENT, "")
        if parent == self.tracker.run_id:
            return
        if parent not in self.parents:
            self.parents[parent] = self._has_shown(parent)
        if self.parents[parent]:
            self.holder = parent
            return
        self.tracker.client.set_tag(child.info.run_id, PARENT, self.tracker.run_id)

    def _has_shown(self, parent: str) -> bool:
        with refusals_allowed():  # it may have been removed for good
            run = self.tracker.client.get_run(parent)
            return COMPLETE in run.data.tags and run.info.lifecycle_stage == "active"
        return False

    def _child(self, trial: Mapping[str, Any]) -> Any:
        client, now = self.tracker.client, int(time.time() * 1000)
        tags = {
            PARENT: self.tracker.run_id,
            "mlflow.runName": f"trial {trial['number']}",
            SWEEP: self.key,
            TRIAL: str(trial["number"]),
            "penstock.state": trial["state"],
            "penstock.batch": str(trial["batch"]),
        }
        tags |= {"penstock.reason": trial["reason"]} if trial["reason"] else {}
        began = now - int(1000 * trial["seconds"])
        run = create_run(client, self.tracker.experiment_id, start_time=began, tags=tags)
        points = points_of({LOSS[side]: trial[side] for side in LOSS})
        points += [(name, trial[name], 0) for name in VALUES if trial.get(name) is not None]
        for call in calls(points, trial["settings"], {}):
            client.log_batch(run.info.run_id, **call)
        client.set_terminated(run.info.run_id, status=ENDED[trial["state"]], end_time=now)
        return run

    def _leave(self, found: Mapping[str, Any]) -> None:
        """Leave leaderboard, plots, importance and the winner's settings on the parent."""
        client, run = self.tracker.client, self.tracker.run_id
        for name, text in files(found).items():
            client.log_text(run, text, f"{FOLDER}/{name}")
        table = [{"path": f"{FOLDER}/{TABLE}", "type": "table"}]
        client.set_tag(run, "mlflow.loggedArtifacts", json.dumps(table))  # as MLflow's own tables
        client.set_tag(run, SWEEP, self.key)
        if self.holder:
            client.set_tag(run, "penstock.sweep.trials", self.holder)
        else:
            client.set_tag(run, COMPLETE, str(len(found["trials"])))

    def note(self) -> str:
        """Return where the trials are, as Markdown, once they are written; "" without any."""
        experiment, run = self.tracker.experiment_id, self.holder or self.tracker.run_id
        whose = "the trials, of the run that made them" if self.holder else "the sweep's trials"
        return f"[{whose}]({run_page(experiment, run)})" if self.known else ""


VALUES = ("score", "error", "epochs", "seconds")
"""Single numbers of a trial that are metrics of its run."""


def metrics(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the parent's metrics about its sweep."""
    kept = {name: found[name] for name in ("finished", "pruned", "failed", "seconds")}
    kept |= {"trials": len(found["trials"]), "score": found["best"]["score"]}
    return {f"sweep/{name}": float(value) for name, value in kept.items()}


def _best_by_trial(found: Mapping[str, Any]) -> list[float | None]:
    """Return the best score so far after each trial; None before the first that finished."""
    best = dict(sweep_charts.best_so_far(found["trials"]))
    curve: list[float | None] = []
    for trial in found["trials"]:
        before = curve[-1] if curve else None
        curve.append(best.get(trial["number"], before))
    return curve


def leaderboard(found: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the trials as columns, the best first, those that were stopped after them."""
    order = {"finished": 0, "pruned": 1, "failed": 2}

    def rank(trial: Mapping[str, Any]) -> tuple[int, float]:
        score = trial["score"]
        return order[trial["state"]], float("inf") if score is None else score

    ranked = sorted(found["trials"], key=rank)[:LEADERS]
    columns = ("number", "state", "score", "error", "epochs", "seconds", "reason")
    names = list(dict.fromkeys(name for trial in ranked for name in trial["settings"]))
    return {
        **{"trial" if name == "number" else name: [t[name] for t in ranked] for name in columns},
        **{name: [t["settings"].get(name) for t in ranked] for name in names if name != "epochs"},
    }


def files(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the parent's files about its sweep, by name."""
    drawn = {
        "history.svg": sweep_charts.history(found),
        "parallel_coordinates.svg": sweep_charts.parallel(found),
        "importance.svg": sweep_charts.importance(found),
    }
    kept = {name: sweep_charts.alone(figure) for name, figure in drawn.items() if figure}
    about = {"importance": found["importance"], "best": found["best"], "rungs": found["rungs"]}
    text = json.dumps(about, ensure_ascii=False, indent=1)
    columns = leaderboard(found)
    table = {"columns": list(columns), "data": list(zip(*columns.values(), strict=True))}
    return {
        TABLE: json.dumps(table, ensure_ascii=False),
        "best.toml": best_toml(found),
        "importance.json": text,
        **kept,
    }


def best_toml(found: Mapping[str, Any]) -> str:
    """Return the winner's settings, a line each as `penstock run --set` takes them.

    `penstock run SPEC $(sed 's/^/--set /' best.toml)` trains them without a search.
    """
    chosen = {f"train.{name}": value for name, value in found["best"]["parameters"].items()}
    lines = {**chosen, "sweep.enabled": False}
    return "".join(f"{key}={value_text(value)}\n" for key, value in lines.items())
