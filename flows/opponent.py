"""The model that a new one is measured against: found by alias, loaded as a consumer would, asked now.

- It answers today's raw cells in a fresh process; its own schema types them.
- Whatever keeps it from being a fair opponent is a `Doubt` that names it: registered by something
  else, files gone or changed, another target or other classes, a column that is gone.
- Its classes are matched by label, so that another order is no other answer.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from expectations.failure import shown
from flows.book import Book, book_of
from flows.errors import ArtifactRefused, Doubt
from flows.mlflow_errors import short, trouble
from flows.tables import read_parquet, write_parquet
from flows.transient import is_transient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from flows.home import Home

Role = Literal["champion", "anchor"]
ROWS_PER_SECOND = 2_000  # a model so slow is waited for
AT_LEAST = 180.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Opponent:
    """A registered version that can be asked."""

    role: Role
    version: Any
    folder: Path
    """Its files, verified."""
    book: Book

    @property
    def called(self) -> str:
        """Its name in a sentence."""
        return called(self.role, self.version)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What an opponent says of N rows; `refused` rows have no answer."""

    said: np.ndarray
    """Probabilities (N, K) in the order of the asker's classes, or values (N,); NaN where refused."""
    label: np.ndarray | None
    """Class codes (N,), -1 where refused; None for a regression."""
    refused: np.ndarray
    rules: tuple[str, ...]
    """The rules that refused rows broke, the commonest first."""


def called(role: Role, version: Any) -> str:
    """Return a version's name in a sentence."""
    return f"the {role}, version {version.version},"


def meet(
    home: Home,
    version: Any,
    role: Role,
    *,
    serving: Mapping[str, Any],
    raw: pd.DataFrame,
    into: Path,
) -> Opponent:
    """Fetch a version's files and ledger into the folder `into`, and see whether it can be asked.

    Args:
        home: where it is registered.
        version: the registered version.
        role: whose part it plays.
        serving: the serving schema of the new model.
        raw: today's table.
        into: an existing folder.

    Raises:
        Doubt: it cannot be compared with the new model; says why.
        PenstockError: MLflow does not answer.

    """
    name = called(role, version)
    if not version.run_id or not {"penstock.key", "penstock.manifest"} <= set(version.tags):
        raise Doubt(
            f"{name} was registered by something other than Penstock, so the rows that it was made "
            "from are not known; promote a version of Penstock's by hand to compare with that one"
        )
    folder = _files(home, version, name)
    schema = _schema(folder, name)
    _same_question(schema, serving, name)
    _columns(schema, raw, name)
    book = book_of(home, version, schema, name=name, into=into)
    return Opponent(role=role, version=version, folder=folder, book=book)


def ask(
    opponent: Opponent,
    raw: pd.DataFrame,
    serving: Mapping[str, Any],
    examiner: Callable[[], Any],
) -> Answers:
    """Ask for the answers to raw rows, in a fresh process.

    Raises:
        Doubt: it cannot be loaded there, or does not answer.

    """
    from models.examine import ExamineError

    ours = [name for name in raw.columns if name.startswith("__") or name == serving["target"]]
    with tempfile.TemporaryDirectory(prefix="penstock-opponent-") as place:
        rows, out = Path(place, "rows.parquet"), Path(place, "answers.parquet")
        write_parquet(raw.drop(columns=ours).reset_index(drop=True), rows)
        asked = {"do": "answer", "model": str(opponent.folder), "rows": str(rows), "out": str(out)}
        try:
            done = examiner().ask(asked, timeout=AT_LEAST + len(raw) / ROWS_PER_SECOND)
        except ExamineError as error:
            done = {"ok": False, "checks": [{"ok": False, "detail": str(error)}]}
        if not done["ok"]:
            said = "; ".join(check["detail"] for check in done.get("checks", ()) if not check["ok"])
            raise _unloadable(opponent.called, said)
        return _answers(read_parquet(out), opponent, serving)


def _files(home: Home, version: Any, name: str) -> Path:
    from flows.verify import fetched

    try:
        return fetched(home, version)
    except ArtifactRefused as error:
        raise Doubt(f"{name} is not what was registered: {error}") from error
    except Exception as error:
        if is_transient(error):
            raise trouble(home, error, must="give the files of a model") from error
        raise _unloadable(name, short(error)) from error


def _unloadable(name: str, why: str) -> Doubt:
    return Doubt(
        f"{name} cannot be loaded, so there is nothing to compare with: {why[:500]}; roll back, or "
        "promote a version by hand"
    )


def _schema(folder: Path, name: str) -> dict[str, Any]:
    try:
        path = next(iter(sorted(folder.rglob("schema.json"))))
        return json.loads(path.read_text(encoding="utf-8"))
    except (StopIteration, OSError, ValueError) as error:
        raise _unloadable(name, f"it has no readable schema.json ({error!r})") from error


def _same_question(schema: Mapping[str, Any], serving: Mapping[str, Any], name: str) -> None:
    """Refuse a model that answers something else: another target, task, or set of classes."""
    for key, what in (("target", "predicts"), ("task", "is for the task")):
        if schema.get(key) != serving.get(key):
            before, now = shown(schema.get(key)), shown(serving.get(key))
            raise Doubt(
                f"{name} {what} {before} and the new model {now}: they answer different questions; "
                "give the settings another name, or promote by hand"
            )
    before, now = _labels(schema), _labels(serving)
    if before.keys() != now.keys():
        gone = ", ".join(shown(label) for label in before if label not in now)
        new = ", ".join(shown(label) for label in now if label not in before)
        said = [f"only {name} knows {gone}"] if gone else []
        said += [f"only the new model knows {new}"] if new else []
        raise Doubt(
            f"{name} has other classes than the new model ({'; '.join(said)}), so no metric holds "
            "for both; promote by hand once the new classes are what is wanted"
        )


def _labels(schema: Mapping[str, Any]) -> dict[str, int]:
    """Return the place of each class by its label; true and false in any case."""
    labels = [str(label) for label in schema.get("classes") or ()]
    if {label.casefold() for label in labels} == {"true", "false"}:
        labels = [label.casefold() for label in labels]
    return {label: place for place, label in enumerate(labels)}


def _columns(schema: Mapping[str, Any], raw: pd.DataFrame, name: str) -> None:
    needed = [entry["name"] for entry in schema["columns"] if entry.get("required", True)]
    if gone := [column for column in needed if column not in raw]:
        listed = ", ".join(map(shown, gone[:5])) + (", ..." if len(gone) > 5 else "")
        raise Doubt(
            f"{name} needs {listed}, which the table no longer has, so it cannot answer today's rows; "
            "bring the column back, or promote by hand"
        )


def _answers(found: pd.DataFrame, opponent: Opponent, serving: Mapping[str, Any]) -> Answers:
    """Bring answers into the order of the asker's classes."""
    broken = found["bad_row"].to_numpy(object)
    refused, label = broken != "", None
    if not serving.get("classes"):
        said = found["prediction"].to_numpy(np.float64)
        refused |= ~np.isfinite(said)
    else:
        places = _labels(serving)
        theirs = [str(label) for label in opponent.book.schema["classes"]]
        order = [places[key] for key in _labels(opponent.book.schema)]
        said = np.empty((len(found), len(order)))
        said[:, order] = found[[f"probability_{name}" for name in theirs]].to_numpy(np.float64)
        refused |= ~np.isfinite(said).all(axis=1)
        codes = found["label"].to_numpy(np.int64)
        label = np.where(refused, -1, np.asarray(order)[codes])
    rules = _commonest([rule for text in broken[broken != ""] for rule in text.split("; ")])
    return Answers(said=said, label=label, refused=refused, rules=rules)


def _commonest(rules: Sequence[str]) -> tuple[str, ...]:
    from collections import Counter

    return tuple(rule for rule, _ in Counter(rules).most_common(5))
