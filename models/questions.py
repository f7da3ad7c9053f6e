"""Question a served model in a fresh process, as a stranger who has only mlflow would.

- Run as `python -I models/questions.py`: it loads its libraries, says {"ready": true}, and answers
  one JSON command per line; `models/examine.py` is the other end.
- Nothing of this repository, and no torch, scikit-learn or Prefect, can be imported there; pickle
  is refused.
"""

from __future__ import annotations

import importlib.abc
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

OURS = {"expectations", "flows", "models", "great_expectations", "optuna", "prefect"}
FORBIDDEN = OURS | {"lightning", "onnx", "onnxscript", "pytorch_lightning", "sklearn", "torch"}
UNSEEN = "\u2047 unseen level"
ROWS_ASKED, COLUMNS_ASKED = 64, 50


class Refuse(importlib.abc.MetaPathFinder):
    """Refuses to import what a consumer need not have."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Raise ModuleNotFoundError for a forbidden package; leave the rest to others."""
        del path, target
        name = fullname.partition(".")[0]
        if name in FORBIDDEN:
            message = f"{fullname} must not be needed to serve a model"
            raise ModuleNotFoundError(message, name=name)


def main() -> None:
    """Get ready, say so, and answer commands until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not look like an answer
    sys.meta_path.insert(0, Refuse())
    import mlflow.pyfunc
    import onnxruntime
    import pandas as pd

    del mlflow, onnxruntime, pd
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin.buffer:
        command = json.loads(line)
        try:
            answer = examine(**command)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is the answer
            failed = {"name": "examined", "ok": False, "detail": _said(error)}
            answer = {"ok": False, "checks": [failed]}
        print(json.dumps(answer), file=answers, flush=True)


def examine(
    model: str,
    rows: str,
    expected: str,
    *,
    tracking_uri: str | None = None,
    tolerance: float = 1e-5,
    whole: bool = True,
    rows_timed: int = 5_000,
) -> dict[str, Any]:
    """Load a model, compare its answers with the expected ones, and ask in other forms.

    Args:
        model: URI or path of an MLflow model.
        rows: Parquet file of raw rows, the model's columns among them.
        expected: Parquet file of the answers to these rows, in order.
        tracking_uri: where `model` is looked up; None leaves MLflow's own.
        tolerance: allowed difference of a probability, or of a value in standard deviations.
        whole: whether every form of question is asked and time is measured, or the rows alone.
        rows_timed: rows that are timed; the figure is scaled to 100,000.

    Returns {"ok", "checks": [{"name", "ok", "detail"}], "figures": {...}}.
    """
    import mlflow
    import pandas as pd

    if tracking_uri:
        mlflow.set_tracking_uri(tracking_uri)
        mlflow.set_registry_uri(tracking_uri)
    started = time.perf_counter()
    served = mlflow.pyfunc.load_model(model)
    figures: dict[str, Any] = {"load_seconds": time.perf_counter() - started}
    given, wanted = pd.read_parquet(rows), pd.read_parquet(expected)
    named = json.loads((served.metadata.metadata or {}).get("penstock.columns", "{}"))
    columns = [name for name in named if name in given.columns] or list(given.columns)
    asked = Asked(served, given[columns], wanted, tolerance)
    checks = asked.run(whole=whole)
    if whole:
        figures |= asked.figures(rows_timed)
    figures["peak_memory_bytes"] = _peak_memory()
    return {"ok": all(check["ok"] for check in checks), "checks": checks, "figures": figures}


class Asked:
    """One model, the rows it is asked, and the answers it must give.

    A check is a method that returns its detail, or raises with what was found.
    """

    def __init__(self, served: Any, rows: Any, wanted: Any, tolerance: float) -> None:
        """Keep what the checks share; `rows` and `wanted` are frames."""
        self.served, self.rows, self.wanted, self.tolerance = served, rows, wanted, tolerance
        self.few = rows.head(ROWS_ASKED).reset_index(drop=True)
        self.answers = wanted.head(ROWS_ASKED).reset_index(drop=True)
        values = len(wanted.columns) == 1 and float(wanted["prediction"].std())
        self.scale = values if values > 0 else 1.0  # one row has no deviation: NaN is not above 0

    def run(self, *, whole: bool) -> list[dict[str, Any]]:
        """Run every check, or only the first; none stops the others."""
        checks: dict[str, Callable[[], str]] = {
            "answers as expected": lambda: self.same(self.rows, self.wanted),
            "one row": lambda: self.same(self.few.head(1), self.answers.head(1)),
            "no rows": self.empty,
            "columns in another order, extra ones, another index": self.reordered,
            "numbers as integers and nullable types": self.typed,
            "pandas categories": self.categories,
            "missing cells": lambda: self.column_of(None),
            "text that no row holds": lambda: self.column_of(UNSEEN),
            "a missing column is an error that names it": self.lacking,
            "a bad row is an error, or null with its rule": self.bad_row,
        }
        done = []
        for name, check in list(checks.items())[: None if whole else 1]:
            try:
                done.append({"name": name, "ok": True, "detail": check()})
            except Exception as error:  # noqa: BLE001 - every failure is a finding
                done.append({"name": name, "ok": False, "detail": _said(error)})
        return done

    def nulls(self, rows: Any) -> pd.DataFrame:
        """Ask with null answers for bad rows."""
        return self.served.predict(rows, params={"on_bad_row": "null"})

    def same(self, rows: Any, wanted: Any) -> str:
        """Compare the answers to `rows` with the wanted ones."""
        worst = compare(self.served.predict(rows), wanted, self.tolerance, self.scale)
        return f"largest difference {worst:.1e}"

    def empty(self) -> str:
        """No rows: no answers, and all columns."""
        out = self.served.predict(self.few.head(0))
        _must(list(out.columns) == list(self.answers.columns), f"columns {list(out.columns)}")
        _must(len(out) == 0, f"{len(out)} rows")
        return "no answers, all columns"

    def reordered(self) -> str:
        """Columns backwards, one that the model does not know, and an index of repeated texts."""
        rows = self.few[list(self.few.columns)[::-1]]
        rows.insert(0, UNSEEN, range(len(rows)))
        return self.same(rows.set_axis([f"r{i // 2}" for i in rows.index]), self.answers)

    def typed(self) -> str:
        """Columns whose text is just what the number prints as, given as numbers."""
        rows, changed = self.few.copy(), 0
        for name in rows.columns:
            numbers = _as_numbers(rows[name])
            if numbers is not None:
                rows[name] = numbers
                changed += 1
        return f"{changed} columns; {self.same(rows, self.answers)}"

    def categories(self) -> str:
        """Every column as a pandas category."""
        return self.same(self.few.astype(dict.fromkeys(self.few.columns, "category")), self.answers)

    def column_of(self, cell: str | None) -> str:
        """One column after the other holds `cell` only: an answer, or a rule of that column."""
        answered, names = 0, list(self.few.columns)[:COLUMNS_ASKED]
        for name in names:
            rows = self.few.head(2).astype(object)
            rows[name] = [cell] * len(rows)
            out = self.nulls(rows)
            rules = [str(rule) for rule in out["bad_row"]]
            whole = bool(out["prediction"].notna().all())
            named = all(rule.startswith(f"{name}.") for rule in rules)
            _must(whole or named, f"column {name!r}: neither an answer nor its rule: {rules}")
            answered += whole
        return f"{answered} of {len(names)} columns take it, the others name their rule"

    def lacking(self) -> str:
        """The last column is not there."""
        name = self.few.columns[-1]
        said = self.refusal(self.few[list(self.few.columns)[:-1]])
        _must(name in said, f"the error does not name {name!r}: {said[:300]}")
        return said[:200]

    def bad_row(self) -> str:
        """The first of three rows breaks a rule: an error, or null beside answers."""
        for name in self.few.columns:
            rows = self.few.head(3).astype(object)
            rows.loc[0, name] = UNSEEN
            out = self.nulls(rows)
            rules = [str(rule) for rule in out["bad_row"]]
            if rules[0]:
                break
        else:
            return "no column has a rule that this text breaks"
        _must(bool(out["prediction"].isna().iloc[0]), "the bad row has a prediction")
        _must(rules[0].startswith(f"{name}."), f"its rule is {rules[0]!r}")
        _must(not any(rules[1:]), f"other rows have rules: {rules[1:]}")
        good = self.answers.iloc[1 : len(out)]
        compare(out.iloc[1:][list(good.columns)], good, self.tolerance, self.scale)
        said = self.refusal(rows)
        _must(rules[0] in said, f"the error does not name {rules[0]!r}: {said[:300]}")
        return rules[0]

    def refusal(self, rows: pd.DataFrame) -> str:
        """Return the message of the error that `rows` must raise."""
        try:
            self.served.predict(rows)
        except Exception as error:  # noqa: BLE001 - MLflow wraps errors as it likes
            return str(error)
        raise AssertionError("no error was raised")

    def figures(self, rows_timed: int) -> dict[str, float]:
        """Time one row (median of 50), and many; the latter scaled to 100,000."""
        one, times = self.rows.head(1), []
        for _ in range(50):
            started = time.perf_counter()
            self.served.predict(one)
            times.append(time.perf_counter() - started)
        many = self.rows.iloc[[i % len(self.rows) for i in range(rows_timed)]]
        many = many.reset_index(drop=True)
        started = time.perf_counter()
        self.served.predict(many)
        spent = time.perf_counter() - started
        return {
            "one_row_ms": sorted(times)[len(times) // 2] * 1e3,
            "hundred_thousand_rows_seconds": spent * 100_000 / rows_timed,
            "rows_timed": rows_timed,
        }


def compare(found: Any, wanted: Any, tolerance: float, scale: float = 1.0) -> float:
    """Return the largest difference over `scale`; raise AssertionError beyond `tolerance`.

    Labels must be equal, but where the two likeliest classes are that close.
    """
    import numpy as np

    _must(list(found.columns) == list(wanted.columns), f"columns {list(found.columns)}")
    _must(len(found) == len(wanted), f"{len(found)} answers to {len(wanted)} rows")
    shares = [name for name in wanted.columns if name.startswith("probability_")]
    names = shares or ["prediction"]
    given, right = (frame[names].to_numpy(dtype=np.float64) for frame in (found, wanted))
    differences = np.abs(given - right).max(axis=1, initial=0.0) / scale
    worst = float(differences.max(initial=0.0))
    row = int(differences.argmax()) if len(found) else 0
    _must(worst <= tolerance, f"row {row} differs by {worst:.2e}, more than {tolerance:.0e}")
    if shares:
        other = found["prediction"].astype(str).to_numpy() != wanted["prediction"].astype(str)
        # A decision may stand on an edge: one row in a thousand, and never a row alone.
        _must(other.sum() <= len(found) // 1000 + (len(found) > 1), f"{other.sum()} labels differ")
    return worst


def _as_numbers(cells: Any) -> Any:
    """Return cells as numbers of the narrowest fitting type; None where text would be lost."""
    import pandas as pd

    blank = cells.isna() | (cells.astype(str).str.strip() == "")
    numbers: Any = pd.to_numeric(cells, errors="coerce")
    if pd.api.types.is_bool_dtype(cells) or (numbers.isna() != blank).any() or blank.all():
        return None
    texts = cells[~blank].astype(str).str.strip()
    if all(text == str(int(number)) for text, number in zip(texts, numbers[~blank], strict=True)):
        return numbers.astype("Int64") if blank.any() else numbers.astype("int64")
    prints = (str(float(number)) for number in numbers[~blank])
    return numbers.astype("Float64") if all(map(str.__eq__, texts, prints)) else None


def _must(condition: Any, found: str) -> None:
    if not condition:
        raise AssertionError(found)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:1000]


def _peak_memory() -> int:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes


if __name__ == "__main__":
    main()
