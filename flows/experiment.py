"""What MLflow's pages of an experiment and of a registered model say, and links into its UI.

- Text and JSON only: `track.py` and `publish.py` write them, and leave what a person has changed.
- The columns of the runs table are a *saved view* of the UI, kept as a tag of the experiment; a
  link that names it opens the table with verdict, metric, rows, digest and duration. The UI sorts
  by parameters and metrics, not by tags.
- MLflow renders Markdown as GitHub does, where `@champion` is somebody's page: names stand in code.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from flows.mlflow_errors import public

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flows.spec import Spec

VIEW = "penstock"
NOTE = "mlflow.note.content"
WROTE = "penstock.wrote"
SHORT = 12
"""Characters of a digest that a person compares."""
TRAINING = "workflowType=machine_learning"
"""Without it the UI of MLflow 3 shows the pages of language-model applications."""
ONE_LINE_PER_RUN = "tags.verdict != ''"
"""Members are child runs and have no verdict; without the filter they fill the table's pages."""


def runs_page(experiment_id: str) -> str:
    """The runs table with our columns, as a link relative to the UI."""
    return f"#/experiments/{experiment_id}/runs?{TRAINING}&viewStateShareKey={VIEW}"


def run_page(experiment_id: str, run_id: str, artifact: str = "") -> str:
    """A run's page, or that of one of its artifacts, as a link relative to the UI."""
    part = f"/artifacts/{quote(artifact)}" if artifact else ""
    return f"#/experiments/{experiment_id}/runs/{run_id}{part}?{TRAINING}"


def version_page(name: str, version: int) -> str:
    """A registered version's page, as a link relative to the UI."""
    return f"#/models/{quote(name, safe='')}/versions/{version}?{TRAINING}"


def experiment_link(uri: str, experiment_id: str) -> str:
    """Where the experiment is seen: a URL, or the database that `penstock up` would show."""
    if not uri.startswith("http"):
        return f"{public(uri)} experiment {experiment_id}"
    return f"{public(uri).rstrip('/')}/{runs_page(experiment_id)}"


def run_link(uri: str, experiment_id: str, run_id: str, artifact: str = "") -> str:
    """Where a run, or one of its artifacts, is seen: a URL, or the database and the run's id."""
    if not run_id:  # MLflow has refused it
        return public(uri)
    if not uri.startswith("http"):
        return f"{public(uri)} run {run_id}"
    return f"{public(uri).rstrip('/')}/{run_page(experiment_id, run_id, artifact)}"


def page(spec: Spec, metric: str | None, experiment_id: str) -> dict[str, str]:
    """Return the tags that make the experiment's page; `metric` is None until it is known."""
    return {
        NOTE: _note(spec, metric, experiment_id),
        "mlflow.experimentKind": "custom_model_development",
        f"mlflow.sharedViewState.{VIEW}": view(metric),
    }


def view(metric: str | None) -> str:
    """Return the saved view as the UI keeps it: an envelope with the state as JSON text."""
    shown = {"params.`verdict`": 110, f"metrics.`{metric}`": 110, "metrics.`rows`": 100}
    if metric is None:
        del shown[f"metrics.`{metric}`"]
    shown |= {"params.`data`": 140, "metrics.`seconds`": 100}
    state = {
        "searchFilter": ONE_LINE_PER_RUN,
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "selectedColumns": list(shown),
        "columnOrder": list(shown),
        "columnWidths": shown,
    }
    envelope = {"name": "Penstock", "createdAt": 0, "updatedAt": 0, "state": json.dumps(state)}
    return json.dumps(envelope)


def guarded(kept: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the tags to set so that `wanted` holds, without undoing what a person has changed.

    The tag `penstock.wrote` keeps the digests of what we wrote last: another text is a person's.
    """
    wrote = json.loads(kept.get(WROTE, "{}"))
    changes = {
        key: text
        for key, text in wanted.items()
        if kept.get(key) != text and (key not in kept or _mark(kept[key]) == wrote.get(key))
    }
    marks = {key: _mark(text) for key, text in changes.items()}
    return {**changes, WROTE: json.dumps(wrote | marks)} if changes else {}


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:SHORT]


def _note(spec: Spec, metric: str | None, experiment_id: str) -> str:
    """The first line is all that a folded note shows, on whichever page the UI opens."""
    judged = code(metric) if metric else "the gate's metric"
    return f"""Predicts {code(spec.data.target)} from {code(public(str(spec.data.source)))}, judged \
by {judged} on test rows: [the runs]({runs_page(experiment_id)}).

- One line is one run, in the view *Penstock* (under Views). Members of a population are child \
runs, listed on their run's page.
- **verdict**: promoted, kept or unchanged (what was in service stays), rejected, refused (the \
data), failed, killed, dry_run, running
- **{judged}**: on the test rows; **rows**: read from the source; **data**: digest of the table, \
the same for the same table; **seconds**: how long the run took

{loading(spec.name)}
"""


def loading(name: str) -> str:
    """Return Markdown: how a consumer loads the champion."""
    uri = json.dumps(f"models:/{name}@champion", ensure_ascii=False)
    lines = f"```python\nimport mlflow\n\nmodel = mlflow.pyfunc.load_model({uri})\n```"
    return f"The champion, for a consumer with mlflow, onnxruntime and pandas:\n\n{lines}"


def model_note(name: str, facts: Mapping[str, str]) -> str:
    """Return the registered model's description; `facts` has target, task and metric."""
    metric = facts.get("metric")
    judged = f", judged by {code(metric)} on test rows" if metric else ""
    return f"""Predicts {code(facts["target"])} ({plain(facts["task"])}){judged}, from raw rows: \
text or typed, with missing cells and levels never seen.

{loading(name)}

`champion` is in service, `previous` was before it, `challenger` is the newest that answered as it \
must; each version's description says its verdict.
"""


def code(text: str) -> str:
    """Return `text` as inline code, whatever it holds."""
    text = " ".join(text.split())
    ticks = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if "`" in text else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def plain(text: str) -> str:
    """Return `text` so that Markdown shows it as it stands, on one line."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    text = re.sub(r"([\\`*\[\]]|^[#>+-]|~(?=~)|\b_|_\b)", r"\\\1", text)
    return re.sub(r"(?i)(^|\s)@(?=[a-z\d])", r"\1\\@", text)
