"""What MLflow's page of a run shows: verdict and links, metrics in sections, curves, files, data.

- The runs table gets short names: parameters `verdict` and `data`, metrics `rows`, `seconds` and
  each metric of the test rows; the rest stands in sections, as MLflow groups names at their slash.
- The tag `verdict` is there from the start, so that a filter finds runs and not their members.
- Links in a note are relative to the UI, so they hold wherever a server shows the database.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flows.experiment import NOTE, SHORT, page, plain, run_page, version_page
from flows.json_files import read_json
from flows.mlflow_errors import public, status_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flows.run import Run
    from flows.track import Tracker

FILES = {
    "contract": (("contract.toml", None),),
    "split": (("ledger.parquet", "ledger"), ("split.json", "ledger")),
}
"""What a stage leaves for the run's artifacts: file and folder."""
KINDS = {"number": "double", "integer": "long", "boolean": "boolean", "date": "datetime"}
"""Column kinds as MLflow names them; all others are strings."""
LOSS = {"train": "loss/train", "validation": "loss/validation"}
"""The curves, of a run and of its members; sections stand in the order of their names."""
MOST_COLUMNS = 2_000


def begin(run: Run) -> None:
    """Open the MLflow run, so that it shows as running."""
    tags = {
        "penstock.run": run.id,
        "penstock.name": run.spec.name,
        "mlflow.source.name": run.spec.path.name if run.spec.path else run.spec.name,
        "verdict": "running",
    }
    run.tracker.start(tags, lambda experiment: page(run.spec, run.spec.gate.metric, experiment))


def finish(run: Run, summary: Mapping[str, Any], error: BaseException | None) -> None:
    """Write all that the run's page shows, and end the MLflow run; waits until it is written."""
    tracker, metric = run.tracker, leading(run, summary)
    model = run.published.model_id if run.published else None
    tracker.metrics(metrics(summary, metric), model=model)
    _curves(run)
    tracker.parameters({**decided(run, summary, error), **flat(summary.get("settings", {}))})
    _dataset(run)
    files = [(run.folder / name, None) for name in ("summary.json", "report.html")]
    for stage in FILES.keys() & run.made.keys():
        files += [(run.made[stage].path / name, folder) for name, folder in FILES[stage]]
    for path, folder in files:
        if path.is_file():
            tracker.artifact(path, folder)
    tracker.tags(tags(run, summary, error))
    tracker.later_tags(lambda: {NOTE: note(summary, tracker.experiment_id, tracker.run_id)})
    if metric:
        tracker.page(lambda experiment: page(run.spec, metric, experiment))
    tracker.finish(error)


def members(tracker: Tracker, trained: Path) -> None:
    """Write each member as a child run, but for those that are there as trials of the sweep."""
    curves, fitted = read_json(trained / "curves.json"), read_json(trained / "fitted.json")
    settings = fitted.get("settings", {})
    for member in [each for each in curves["members"] if each.get("trial") is None]:
        tracker.member(
            name=f"fold {member['fold']} seed {member['seed']}",
            parameters={**settings, "fold": member["fold"], "member_seed": member["seed"]},
            curves={LOSS[side]: member[side] for side in LOSS},
            tags={
                "penstock.stopped": str(member.get("stopped")),
                "penstock.best_epoch": str(member.get("best_epoch")),
                "penstock.weight": str(member.get("weight")),
            },
            failed=bool(member.get("failed")),
        )


def leading(run: Run, summary: Mapping[str, Any]) -> str | None:
    """The metric of the runs table: the gate's, else that of the assessment."""
    return run.spec.gate.metric or (summary.get("verdict") or {}).get("metric")


def decided(run: Run, summary: Mapping[str, Any], error: BaseException | None) -> dict[str, str]:
    """Return what the runs table can be sorted by beside metrics: verdict, and digest of the data."""
    verdict = "killed" if status_of(error) == "KILLED" else run.outcome
    data = summary.get("digests", {}).get("data")
    return {"verdict": verdict, **({"data": data[:SHORT]} if data else {})}


def tags(run: Run, summary: Mapping[str, Any], error: BaseException | None) -> dict[str, str]:
    """Return the run's tags at its end."""
    digests = {name: str(value) for name, value in summary.get("digests", {}).items()}
    found = {
        "verdict": decided(run, summary, error)["verdict"],
        "penstock.verdict": run.outcome,
        "penstock.reasons": "; ".join(summary["verdict"].get("reasons", [])),
        **{f"penstock.digest.{name}": value for name, value in digests.items()},
    }
    if commit := summary.get("git", {}).get("commit"):
        found["mlflow.source.git.commit"] = str(commit)
    return found


def metrics(summary: Mapping[str, Any], leading: str | None) -> dict[str, float]:
    """Return the run's metrics by the names that MLflow shows, the leading one first.

    Test rows give the plain names; of intervals only the leading metric's stands here, the others
    are in `summary.json`.
    """
    sides = summary.get("metrics", {})
    test = sides.get("test", {})
    found: dict[str, float | None] = {}
    if leading in test:
        ends = {"": "value", ".low": "low", ".high": "high"}
        found = {f"{leading}{end}": test[leading].get(key) for end, key in ends.items()}
    found |= {name: values.get("value") for name, values in test.items()}
    rows = dict(summary.get("rows", {}))
    found |= {"rows": rows.pop("read", None), "seconds": summary["seconds"]}
    found |= {f"rows/{side}": n for side, n in rows.items()}
    for side in sides.keys() - {"test"}:
        found |= {f"{side}/{name}": values.get("value") for name, values in sides[side].items()}
    return {name: value for name, value in found.items() if value is not None}


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested settings as {"train.seed": 0, ...}, without credentials of addresses."""
    if isinstance(values, str):
        values = public(values)
    if not isinstance(values, dict):
        return {prefix: values}
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}.{key}" if prefix else key)
    return found


def note(summary: Mapping[str, Any], experiment_id: str, run_id: str) -> str:
    """Return the run's description: the verdict, its reasons, and where to read on."""
    verdict, made = summary["verdict"], summary.get("registered")
    reasons = [f"- {plain(reason)}" for reason in verdict.get("reasons", [])]
    links = [
        f"[Report]({run_page(experiment_id, run_id, 'report.html')})",
        f"[summary.json]({run_page(experiment_id, run_id, 'summary.json')})",
    ]
    if made:
        version = f"{plain(made['model'])} version {made['version']}"
        links.append(f"[{version}]({version_page(made['model'], made['version'])})")
    prefect = str(summary["links"].get("prefect") or "")
    if prefect.startswith("http"):
        links.append(f"[Prefect]({prefect})")
    said = f"**{plain(verdict.get('sentence') or '')}**"
    swept = [f"Sweep: {plain(found['sentence'])}.", ""] if (found := summary.get("sweep")) else []
    return "\n".join([said, "", " · ".join(links), "", *swept, *reasons])


def _curves(run: Run) -> None:
    """The best member's curves, on the run itself; every member's are in its child run."""
    if "train" not in run.made:
        return
    members = read_json(run.made["train"].path / "curves.json")["members"]
    reached = {
        min(values): member
        for member in members
        if not member.get("failed")
        and (values := [v for v in member["validation"] if v is not None])
    }
    if reached:
        best = reached[min(reached)]
        run.tracker.curves({LOSS["train"]: best["train"], LOSS["validation"]: best["validation"]})


def _dataset(run: Run) -> None:
    """The table as a dataset input, with our digest, rows and columns."""
    if "load" not in run.made:
        return
    load, schema = run.made["load"], {}
    if "contract" in run.made:
        schema = read_json(run.made["contract"].path / "schema.json")
    columns = schema.get("columns", [])
    shown = [
        {"name": column["name"], "type": KINDS.get(column["kind"], "string"), "required": False}
        for column in columns[:MOST_COLUMNS]
    ]
    profile = {"rows": load.facts.get("rows"), "columns": len(columns) or None}
    run.tracker.dataset(
        name=run.spec.name,
        digest=load.digest,
        source=public(str(run.spec.data.source)),
        profile=json.dumps({name: n for name, n in profile.items() if n is not None}),
        schema=json.dumps({"mlflow_colspec": shown}) if shown else None,
    )
