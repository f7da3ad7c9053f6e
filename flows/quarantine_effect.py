"""What rows that come back mean for the model in service: its metric on them, beside its test rows.

- The champion's graph answers them from cells that are typed as today's settings type them: its own
  reader may have been what refused them.
- Rows that it was trained or validated on are left out, as far as its ledger tells.
- Where there is nothing to measure with, or nothing to measure, the sentence says why.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.failure import shown
from flows.book import Book
from flows.bundle import verify_bundle
from flows.errors import ArtifactRefused, Doubt
from flows.json_files import read_json
from flows.mlflow_errors import trouble
from flows.quarantine_words import effect_sentence
from flows.registry import client
from flows.tables import read_parquet
from flows.verify import fetched
from flows.versions import EVIDENCE, EVIDENCE_RUN, champion

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from expectations.predictions import Predictions
    from flows.home import Home
    from flows.spec import Spec

FILES = ("evidence.json", "ledger.parquet", "split.json")
FEWEST = 20
"""Rows below which the two are not compared: the spread of a handful says nothing."""
Z = 1.959963984540054
PLAIN = {"binary": "log_loss", "multiclass": "log_loss", "regression": "mae"}
"""What is defined on any row, beside the deciding metric."""


def effect(
    home: Home, spec: Spec, schema: Mapping[str, Any], raw: pd.DataFrame, typed: pd.DataFrame
) -> dict[str, Any]:
    """Measure the champion on rows that come back.

    Args:
        home: where it is registered.
        spec: today's settings.
        schema: today's reading schema.
        raw: the rows (n) as they were loaded.
        typed: the same, typed by that schema, with the target.

    Returns:
        {"model", "version", "metric", "rows", "known", "learned", "unanswered", "metrics": {name:
        interval}, "test": {name: interval}, "told", "difference", "sentence"}; only "sentence" where
        nothing could be measured.

    Raises:
        PenstockError: MLflow does not answer.

    """
    if not len(raw):
        return {"sentence": "no row comes back, so there is nothing to measure"}
    try:
        return _measured(home, spec, schema, raw, typed)
    except (Doubt, ArtifactRefused) as doubt:
        return {"sentence": f"the effect cannot be measured: {doubt}"}


def _measured(
    home: Home, spec: Spec, schema: Mapping[str, Any], raw: pd.DataFrame, typed: pd.DataFrame
) -> dict[str, Any]:
    version = _champion(home, spec.name)
    if version is None:
        raise Doubt(f"no version of {shown(spec.name)} is champion yet")
    folder = fetched(home, version)
    serving = read_json(next(folder.rglob("schema.json")))
    with tempfile.TemporaryDirectory(prefix="penstock-effect-") as place:
        book, evidence = _bundle(home, version, serving, Path(place))
    answers = _answers(next(folder.rglob("graph.onnx")), raw, _as_today(serving, schema))
    answered = (answers["bad_row"] == "").to_numpy()
    learned, unit, said = _known(book, raw, schema)
    truth = _truth(typed, schema, serving, book)
    usable = np.isfinite(truth) if serving["task"] == "regression" else truth >= 0
    at = np.flatnonzero(answered & usable & ~learned)
    facts = {
        "model": version.name,
        "version": int(version.version),
        "metric": evidence["metric"],
        "rows": len(raw),
        "known": int(usable.sum()),
        "learned": int((learned & usable).sum()),
        "unanswered": int((~answered).sum()),
        "measured": len(at),
        "notes": said,
    }
    names = list(dict.fromkeys([evidence["metric"], PLAIN[serving["task"]]]))
    facts["test"] = {n: (evidence["metrics"].get("test") or {}).get(n) or {} for n in names}
    facts["test_rows"] = (evidence.get("rows") or {}).get("test")
    facts["metrics"] = _metrics(spec, serving, answers, typed, truth, unit, at, names)
    metrics = facts["metrics"]  # the deciding one may be undefined on so few rows
    facts["told"] = next(
        (n for n in names if (metrics.get(n) or {}).get("value") is not None), None
    )
    facts["difference"] = _difference(facts)
    return {**facts, "sentence": effect_sentence(facts)}


def _champion(home: Home, name: str) -> Any | None:
    if home.embedded and not (home.root / "mlflow.db").exists():
        return None  # asking would make the database
    try:
        return champion(home, name)
    except Exception as error:
        raise trouble(home, error, must="say which version is champion") from error


def _bundle(
    home: Home, version: Any, serving: Mapping[str, Any], into: Path
) -> tuple[Book, dict[str, Any]]:
    """Return ledger and evidence of the version, as they were sealed."""
    run = version.tags.get(EVIDENCE_RUN, version.run_id)
    try:
        folder = Path(client(home).download_artifacts(run, "gate", str(into)))
    except Exception as error:
        msg = f"the bundle of version {version.version} must be in its MLflow run: {error}"
        raise Doubt(msg) from error
    verify_bundle(folder, version.tags.get(EVIDENCE), only=FILES)
    rows, facts = read_parquet(folder / FILES[1]), read_json(folder / FILES[2])
    return Book(rows=rows, facts=facts, schema=serving), read_json(folder / FILES[0])


def _as_today(serving: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the version's schema with its columns read, and its rows judged, as today."""
    today = {entry["name"]: entry for entry in schema["columns"]}
    names = [entry["name"] for entry in serving["columns"]]
    if gone := [name for name in names if name not in today]:
        raise Doubt(f"the champion needs {', '.join(map(shown, gone[:5]))}, no feature today")
    for entry in serving["columns"]:
        if _sort(entry["kind"]) != _sort(today[entry["name"]]["kind"]):
            raise Doubt(
                f"{shown(entry['name'])} is a {entry['kind']} for the champion and a "
                f"{today[entry['name']]['kind']} today"
            )
    rules = [rule for rule in schema.get("rules", ()) if rule["column"] in names]
    columns = [today[name] for name in names]
    return {**serving, "columns": columns, "missing": schema.get("missing", []), "rules": rules}


def _sort(kind: str) -> str:
    return {"integer": "number", "boolean": "number", "category": "text"}.get(kind, kind)


def _answers(graph: Path, raw: pd.DataFrame, schema: Mapping[str, Any]) -> pd.DataFrame:
    from models.served import answer, open_session

    return answer(open_session(str(graph)), raw.reset_index(drop=True), schema, on_bad_row="null")


def _known(
    book: Book, raw: pd.DataFrame, schema: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray, str]:
    """Which rows the version was made from, whose they are, and what cannot be told of that.

    A row that the version's own reader refuses was set aside when it was made, and who such a row
    is cannot be told from its features.
    """
    from flows.seen import Today, seen
    from models.served import read

    raw = raw.reset_index(drop=True)
    alone = np.arange(len(raw))
    try:
        found = seen(book, Today(raw=raw, schema=schema))
    except Doubt as doubt:
        note = f"which of them the champion learned from cannot be told: {doubt}"
        return np.zeros(len(raw), bool), alone, note
    learned = found.known.copy()
    learned[read(raw, book.schema)[1]["row"].to_numpy(np.int64)] = False
    declared = book.scheme.get("id") or book.scheme.get("group")
    return learned, found.unit if declared else alone, ""


def _truth(
    typed: pd.DataFrame, schema: Mapping[str, Any], serving: Mapping[str, Any], book: Book
) -> np.ndarray:
    from flows.sides import codes
    from flows.split import merged_labels

    truth: Any = typed[schema["target"]].reset_index(drop=True)
    if serving.get("classes"):
        truth = merged_labels(truth, dict(book.facts))
    return codes(truth, serving)


def _metrics(
    spec: Spec,
    serving: Mapping[str, Any],
    answers: pd.DataFrame,
    typed: pd.DataFrame,
    truth: np.ndarray,
    unit: np.ndarray,
    at: np.ndarray,
    names: list[str],
) -> dict[str, Any]:
    from expectations.intervals import measure

    if not len(at):
        return {}
    found = _predictions(spec, serving, answers.iloc[at], truth[at])
    weight = np.ones(len(at))
    if spec.data.weight:
        weight = typed[spec.data.weight].to_numpy(np.float64)[at]
    intervals = measure(found, names, weight=weight, identity=unit[at], seed=spec.train.seed)
    return {name: interval.to_json() for name, interval in intervals.items()}


def _predictions(
    spec: Spec, serving: Mapping[str, Any], answers: pd.DataFrame, truth: np.ndarray
) -> Predictions:
    from expectations.predictions import Predictions
    from flows.sides import codes
    from models.decide import cost_matrix

    if serving["task"] == "regression":
        value = answers["prediction"].to_numpy(np.float64)
        return Predictions(task="regression", target=truth, value=value)
    named = [f"probability_{label}" for label in serving["classes"]]
    costs = None
    if spec.decision:
        costs = np.asarray(cost_matrix(spec.decision.costs, serving["classes"]), np.float64)
    return Predictions(
        task=serving["task"],
        target=truth,
        probabilities=answers[named].to_numpy(np.float64),
        label=codes(answers.loc[:, "prediction"], serving),
        costs=costs,
    )


def _difference(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """The metric on the returned rows minus that on the test rows, with a 95 % interval."""
    name = facts["told"]
    here, there = facts["metrics"].get(name) or {}, facts["test"].get(name) or {}
    errors = [e for each in (here, there) if (e := each.get("standard_error")) is not None]
    few = facts["measured"] < FEWEST or here.get("method") in ("exact", "none")
    if few or len(errors) < 2 or there.get("value") is None:
        return None
    value = here["value"] - there["value"]
    reach = Z * math.hypot(*errors)
    return {"metric": name, "value": value, "low": value - reach, "high": value + reach}
