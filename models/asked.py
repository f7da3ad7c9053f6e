"""The questions that a loaded model must pass: real rows in every form, and what is no row at all.

- A question is a method that returns its detail, or raises with what was found; none stops the
  others.
- Part of the fresh process (`models/questions.py`): nothing of this repository is needed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from models.agreement import compare, must, said
from models.fuzz import UNSEEN, as_numbers, cells_of, disturbed, finite_rows, whole_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

ROWS_ASKED, COLUMNS_ASKED, ROWS_MANY = 64, 50, 10_000


class Asked:
    """One model, the rows it is asked, and the answers it must give."""

    def __init__(
        self, served: Any, rows: Any, wanted: Any, tolerance: float, kinds: Mapping[str, str]
    ) -> None:
        """Keep what the checks share; `rows` and `wanted` are frames, `kinds` those of columns."""
        self.served, self.rows, self.wanted, self.tolerance = served, rows, wanted, tolerance
        self.kinds = kinds
        self.many_seconds = float("nan")
        self.few = rows.head(ROWS_ASKED).reset_index(drop=True)
        self.answers = wanted.head(ROWS_ASKED).reset_index(drop=True)
        values = len(wanted.columns) == 1 and float(wanted["prediction"].std())
        self.scale = values if values > 0 else 1.0  # one row has no deviation: NaN is not above 0

    def run(self, *, whole: bool) -> list[dict[str, Any]]:
        """Ask every question, or only the first."""
        checks: dict[str, Callable[[], str]] = {
            "answers as expected": lambda: self.same(self.rows, self.wanted),
            "one row": lambda: self.same(self.few.head(1), self.answers.head(1)),
            "no rows": self.empty,
            "10,000 rows": self.many,
            "columns in another order, extra ones, another index": self.reordered,
            "numbers as integers and nullable types": self.typed,
            "whole numbers as integers, floats and text": self.whole_numbers,
            "pandas categories": self.categories,
            "missing cells": lambda: self.column_of(None),
            "nothing but missing cells": self.nothing,
            "text that no row holds": lambda: self.column_of(UNSEEN),
            "cells of any kind": self.disturbed,
            "a missing column is an error that names it": self.lacking,
            "a bad row is an error, or null with its rule": self.bad_row,
        }
        return outcomes(dict(list(checks.items())[: None if whole else 1]))

    def figures(self) -> dict[str, float]:
        """Return the seconds that 100,000 rows take, from the many that were asked."""
        seconds = self.many_seconds * 100_000 / ROWS_MANY
        return {"hundred_thousand_rows_seconds": seconds, "rows_timed": ROWS_MANY}

    def nulls(self, rows: Any) -> pd.DataFrame:
        """Ask with null answers for bad rows."""
        return self.served.predict(rows, params={"on_bad_row": "null"})

    def same(self, rows: Any, wanted: Any) -> str:
        """Compare the answers to `rows` with the wanted ones."""
        return f"largest difference {self.difference(self.served.predict(rows), wanted):.1e}"

    def difference(self, found: Any, wanted: Any) -> float:
        """Return the largest difference; raise where it is too large."""
        return compare(found, wanted, self.tolerance, self.scale)

    def empty(self) -> str:
        """No rows: no answers, and all columns."""
        out = self.served.predict(self.few.head(0))
        must(list(out.columns) == list(self.answers.columns), f"columns {list(out.columns)}")
        must(len(out) == 0, f"{len(out)} rows")
        return "no answers, all columns"

    def many(self) -> str:
        """More rows than the graph takes at once: each as if it came alone."""
        places = [place % len(self.rows) for place in range(ROWS_MANY)]
        rows, wanted = (f.iloc[places].reset_index(drop=True) for f in (self.rows, self.wanted))
        started = time.perf_counter()
        found = self.served.predict(rows)
        self.many_seconds = time.perf_counter() - started
        return f"largest difference {self.difference(found, wanted):.1e}"

    def reordered(self) -> str:
        """Columns backwards, one that the model does not know, and an index of repeated texts."""
        rows = self.few[list(self.few.columns)[::-1]]
        rows.insert(0, UNSEEN, range(len(rows)))
        return self.same(rows.set_axis([f"r{i // 2}" for i in rows.index]), self.answers)

    def typed(self) -> str:
        """Columns whose text is just what the number prints as, given as numbers."""
        rows, changed = self.few.copy(), 0
        for name in rows.columns:
            numbers = as_numbers(rows[name])
            if numbers is not None:
                rows[name] = numbers
                changed += 1
        return f"{changed} columns; {self.same(rows, self.answers)}"

    def whole_numbers(self) -> str:
        """Numbers without fractions: the form in which they come must not matter."""
        forms, changed = whole_numbers(self.few, self.kinds)
        if not changed:
            return "no column is a number"
        first, *others = [self.nulls(rows) for rows in forms]
        answered = (first["bad_row"] == "").to_numpy()
        wanted = first.loc[answered, list(self.answers.columns)]
        for out in others:
            must(list(out["bad_row"]) == list(first["bad_row"]), "other rows are refused")
            self.difference(out.loc[answered, list(wanted.columns)], wanted)
        return f"{len(changed)} columns, {int(answered.sum())} of {len(first)} rows answered"

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
            must(whole or named, f"column {name!r}: neither an answer nor its rule: {rules}")
            answered += whole
        return f"{answered} of {len(names)} columns take it, the others name their rule"

    def nothing(self) -> str:
        """A row without a single cell: an answer, or the rules that it breaks."""
        rows = self.few.head(2).astype(object)
        rows.loc[:, :] = None
        out = self.nulls(rows)
        refused = (out["bad_row"] != "").to_numpy()
        answered = out["prediction"].notna().to_numpy()
        must((refused != answered).all(), "a row is neither answered nor refused, or both")
        return "refused" if refused.all() else "answered"

    def disturbed(self) -> str:
        """Cells of any kind here and there: answers that are finite, or null with a rule.

        A row that holds none of them must be answered as if it stood alone.
        """
        rows, spoilt = disturbed(self.few, seed=0)
        out = self.nulls(rows)
        refused = (out["bad_row"] != "").to_numpy()
        shares = [name for name in self.answers.columns if name.startswith("probability_")]
        numbers = cells_of(out, shares or ["prediction"])
        must(finite_rows(numbers)[~refused].all(), "an answer is not finite")
        must(bool(out["prediction"].isna().to_numpy()[refused].all()), "a refused row is answered")
        good = ~spoilt
        must(not refused[good].any(), "a row is refused for its neighbours' cells")
        names = list(self.answers.columns)
        self.difference(out[good][names], self.answers[good])
        return f"{int(spoilt.sum())} rows of {len(rows)} disturbed, {int(refused.sum())} refused"

    def lacking(self) -> str:
        """A column is not there: the last one that the model cannot do without."""
        for name in list(self.few.columns)[::-1][:COLUMNS_ASKED]:
            heard = self.refusal(self.few.drop(columns=name))
            if heard is not None:
                must(name in heard, f"the error does not name {name!r}: {heard[:300]}")
                return heard[:200]
        return "the model can do without any of its columns"

    def bad_row(self) -> str:
        """The first of three rows breaks a rule: an error, or null beside answers."""
        found = self.row_that_breaks()
        if found is None:
            return "no column has a rule that this text breaks"
        rows, name = found
        out = self.nulls(rows)
        rules = [str(rule) for rule in out["bad_row"]]
        must(bool(out["prediction"].isna().iloc[0]), "the bad row has a prediction")
        must(rules[0].startswith(f"{name}."), f"its rule is {rules[0]!r}")
        must(not any(rules[1:]), f"other rows have rules: {rules[1:]}")
        good = self.answers.iloc[1 : len(out)]
        self.difference(out.iloc[1:][list(good.columns)], good)
        heard = self.refusal(rows)
        must(heard is not None, "no error was raised")
        must(rules[0] in str(heard), f"the error does not name {rules[0]!r}: {heard}"[:300])
        return rules[0]

    def row_that_breaks(self) -> tuple[Any, str] | None:
        """Return three rows of which the first breaks a rule, and the column that breaks it."""
        for name in self.few.columns:
            rows = self.few.head(3).astype(object)
            rows.loc[0, name] = UNSEEN
            if str(self.nulls(rows)["bad_row"].iloc[0]):
                return rows, str(name)
        return None

    def refusal(self, rows: pd.DataFrame) -> str | None:
        """Return the message of the error that `rows` raise; None where they raise none."""
        try:
            self.served.predict(rows)
        except Exception as error:  # noqa: BLE001 - MLflow wraps errors as it likes
            return str(error)
        return None


def outcomes(checks: Mapping[str, Callable[[], str]]) -> list[dict[str, Any]]:
    """Run checks by name; each gives its detail or raises, and none stops the others."""
    done = []
    for name, check in checks.items():
        try:
            done.append({"name": name, "ok": True, "detail": check()})
        except Exception as error:  # noqa: BLE001 - every failure is a finding
            done.append({"name": name, "ok": False, "detail": said(error)})
    return done
