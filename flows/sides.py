"""The rows that are judged, side by side with what the exported graph says of them.

- Test rows are answered from their raw cells by the exported graph, as a consumer's would be.
- Validation rows carry the cross-fitted predictions of training: no member saw the row it judges.
- The unit of evidence is the group where one is declared, else the row's identity.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.predictions import Predictions
from flows.errors import ArtifactRefused
from flows.tables import batches, names_in, read_parquet, read_rows, rows_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

    from flows.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Side:
    """Rows of one side (n), their true and predicted values, what they weigh, whose they are."""

    row: np.ndarray
    """Position in table.parquet, (n,)."""
    found: Predictions
    weight: np.ndarray
    identity: np.ndarray

    def take(self, rows: np.ndarray) -> Side:
        """The same for some of the rows."""
        return Side(
            row=self.row[rows],
            found=self.found.take(rows),
            weight=self.weight[rows],
            identity=self.identity[rows],
        )


@dataclass(frozen=True, kw_only=True)
class Judged:
    """All rows that passed the contract, in the ledger's order, as the model sees them."""

    schema: Mapping[str, Any]
    """The serving schema of the export."""
    row: np.ndarray
    side: np.ndarray
    fold: np.ndarray
    identity: np.ndarray
    weight: np.ndarray
    target: np.ndarray
    """Class codes (N,), -1 where the class is not the model's; or float64 values."""
    feeds: Mapping[str, np.ndarray]
    """What the graph takes, blocks of (N, ...)."""
    costs: np.ndarray | None

    @property
    def task(self) -> Any:
        """binary, multiclass or regression."""
        return self.schema["task"]

    @property
    def classes(self) -> list[str]:
        """The labels in the order of their codes; empty for regression."""
        return [str(label) for label in self.schema.get("classes") or ()]

    def at(self, rows: np.ndarray) -> np.ndarray:
        """Positions here of rows of table.parquet."""
        order = np.argsort(self.row, kind="stable")
        return order[np.searchsorted(self.row[order], rows)]

    def known(self, at: np.ndarray) -> np.ndarray:
        """Those of the positions `at` whose true value can be compared with the model's."""
        if self.task == "regression":
            return at[np.isfinite(self.target[at])]
        return at[self.target[at] >= 0]

    def predictions(
        self, at: np.ndarray, said: np.ndarray, label: np.ndarray | None = None
    ) -> Predictions:
        """Predictions of the rows at `at`: (n, K) probabilities with labels, or (n,) values."""
        target = self.target[at]
        if self.task == "regression":
            return Predictions(task="regression", target=target, value=said)
        if label is None:
            label = (said if self.costs is None else -(said @ self.costs)).argmax(axis=1)
        return Predictions(
            task=self.task, target=target, probabilities=said, label=label, costs=self.costs
        )

    def of(self, at: np.ndarray, said: np.ndarray, label: np.ndarray | None = None) -> Side:
        """A side of the rows at `at`."""
        found = self.predictions(at, said, label)
        parts = {"weight": self.weight[at], "identity": self.identity[at]}
        return Side(row=self.row[at], found=found, **parts)


def judged(
    spec: Spec, schema: Mapping[str, Any], serving: Mapping[str, Any], ledger: Path, clean: Path
) -> Judged:
    """Join the ledger with the clean rows and the model's view of them."""
    from flows.split import merged_labels
    from models.decide import cost_matrix

    book = read_parquet(ledger)
    roles = {"__row__", schema["target"], spec.data.group, spec.data.weight}
    table = read_parquet(clean, [name for name in names_in(clean) if name in roles])
    order = np.argsort(table["__row__"].to_numpy(), kind="stable")
    at = order[np.searchsorted(table["__row__"].to_numpy()[order], book["row"].to_numpy())]
    table = table.iloc[at].reset_index(drop=True)
    truth: Any = table[schema["target"]]
    facts = ledger.with_name("split.json")
    if serving.get("classes") and facts.is_file():
        truth = merged_labels(truth, json.loads(facts.read_text("utf-8")))
    unit = table[spec.data.group] if spec.data.group else book["identity"]
    weight = np.ones(len(book))
    if spec.data.weight:
        weight = table[spec.data.weight].to_numpy(np.float64)
    costs = None
    if spec.decision:
        costs = np.asarray(cost_matrix(spec.decision.costs, serving["classes"]), dtype=np.float64)
    return Judged(
        schema=serving,
        row=book["row"].to_numpy(np.int64),
        side=book["side"].to_numpy(object),
        fold=book["fold"].to_numpy(np.int64),
        identity=unit.astype(str).to_numpy(object),
        weight=weight,
        target=codes(truth, serving),
        feeds=_feeds(clean, at, serving),
        costs=costs,
    )


def _feeds(clean: Path, at: np.ndarray, serving: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What the graph takes of the rows at the positions `at`, read block by block."""
    from models.served import inputs

    names = [*serving.get("numbers", ()), *serving.get("categories", ())]
    feeds: dict[str, np.ndarray] = {}
    start = 0
    for table in batches(clean, names):
        for key, part in inputs(_shared(table).to_pandas(), serving).items():
            if key not in feeds:
                feeds[key] = np.empty((rows_in(clean), *part.shape[1:]), part.dtype)
            feeds[key][start : start + len(part)] = part
        start += table.num_rows
    if np.array_equal(at, np.arange(start)):
        return feeds
    return {key: block[at] for key, block in feeds.items()}


def _shared(table: pa.Table) -> pa.Table:
    """Let the cells of a text column that are alike be one object each."""
    import pyarrow as pa

    for place, kind in enumerate(table.schema):
        if pa.types.is_string(kind.type) or pa.types.is_large_string(kind.type):
            table = table.set_column(place, kind.name, table.column(place).dictionary_encode())
    return table


def codes(target: pd.Series, serving: Mapping[str, Any]) -> np.ndarray:
    """True values as class codes, -1 for a class that the model does not know; or as float64."""
    if not serving.get("classes"):
        return target.to_numpy(np.float64)
    kind = serving.get("class_kind", "text")
    # Cells come as text (the table), as numbers, or as Python objects (answers with nulls).
    text = target.map(lambda cell: _label(cell, kind), na_action="ignore")
    labels = [str(label) for label in serving["classes"]]
    if kind == "boolean":
        text = text.map(str.casefold, na_action="ignore")
        labels = [label.casefold() for label in labels]
    code = {label: k for k, label in enumerate(labels)}
    return text.map(code).fillna(-1).to_numpy(np.int64)


def _label(cell: Any, kind: str) -> str:
    """A cell of the target as the label is written; 1, 1.0 and "1" are one whole number."""
    if isinstance(cell, str):
        return cell
    return str(int(cell) if kind == "integer" else bool(cell) if kind == "boolean" else cell)


def answered(known: Judged, session: Any, table: Path) -> tuple[Side, pd.DataFrame, list[str]]:
    """The test side as the exported graph answers it from raw cells; the answers; notes.

    Raises:
        ArtifactRefused: the exported model refuses rows that passed the contract.

    """
    from models.served import answer

    at = np.flatnonzero(known.side == "test")
    raw = read_rows(table, known.row[at])
    answers = answer(session, raw, known.schema, on_bad_row="null")
    bad = answers.pop("bad_row")
    if (bad != "").any():
        rules = ", ".join(sorted(set(bad[bad != ""]))[:5])
        msg = (
            "the exported model must answer every row that passed the contract, however it refuses "
            f"{int((bad != '').sum()):,} of {len(bad):,} test rows by {rules}; this is a fault of "
            "Penstock: please report it with the contract"
        )
        raise ArtifactRefused(msg)
    keep = np.isin(at, known.known(at))
    said, label = _parts(known, answers)
    side = known.of(at[keep], said[keep], None if label is None else label[keep])
    answers.insert(0, "row", known.row[at])
    lost = int((~keep).sum())
    notes = (
        [f"{lost:,} test rows of classes that the model does not know are left out"] if lost else []
    )
    return side, answers, notes


def crossfitted(known: Judged, path: Path) -> Side:
    """The validation side as training left it: calibrated predictions out of fold."""
    frame = read_parquet(path)
    at = known.at(frame["row"].to_numpy(np.int64))
    keep = np.isin(at, known.known(at))
    said, label = _parts(known, frame)
    return known.of(at[keep], said[keep], None if label is None else label[keep])


def _parts(known: Judged, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray | None]:
    """Probabilities and label codes, or values, from columns named as in `served.answer`."""
    if known.task == "regression":
        name = "value" if "value" in frame else "prediction"
        return frame[name].to_numpy(np.float64), None
    named = [f"probability_{label}" for label in known.classes]
    said = frame[named].to_numpy(np.float64)
    if "prediction" not in frame:
        return said, None
    return said, codes(frame.loc[:, "prediction"], known.schema)


def ask(
    known: Judged, session: Any, feeds: Mapping[str, np.ndarray], at: np.ndarray
) -> Predictions:
    """Predictions of the graph for `feeds`, whose true values are those of the rows at `at`."""
    names = ["value"] if known.task == "regression" else ["probabilities", "label"]
    chunk = int(known.schema.get("chunk", 1024))
    parts = [
        session.run(names, {block: part[start : start + chunk] for block, part in feeds.items()})
        for start in range(0, len(at), chunk)
    ]
    said, *label = (np.concatenate(part) for part in zip(*parts, strict=True))
    return known.predictions(at, said, label[0].astype(np.int64) if label else None)


def measured(side: Side, names: Any, seed: int, most: int | None = None) -> dict[str, Any]:
    """Metrics of a side with their intervals, as plain JSON; empty without rows."""
    from expectations.intervals import RESAMPLES, measure

    if not len(side.row):
        return {}
    found = measure(
        side.found,
        names,
        weight=side.weight,
        identity=side.identity,
        seed=seed,
        most=most or RESAMPLES,
    )
    return {name: interval.to_json() for name, interval in found.items()}
