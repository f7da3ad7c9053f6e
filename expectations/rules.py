"""How each rule of a contract is judged on a typed table, whatever engine does the judging.

- Two passes: a boolean one over the cells that answer for a column (`witnesses.py`), a complete one
  over whole columns, only for the rules that failed.
- Narrow batches: Great Expectations copies the whole frame for each column, so a wide batch is
  quadratic. Inside a batch columns are called c0, c1, ...: it folds case and would judge `Age`
  by `age`.
- Nothing passes vacuously: no rows is a failure, all cells missing is a failure, a rule that
  raised is told apart from one that failed, and one that judged no cell never passes.
- Texts are matched here, by Python's rules, and Great Expectations judges the answers: its own
  regular expressions are Arrow's or Python's, as the column happens to be stored.
- Dates are judged as whole microseconds since 1970: it maps a Python function over every date.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from expectations.cross_judge import judge_check
from expectations.failure import shown
from expectations.findings import COMPLETE, CheckResult, Findings, Outcome
from expectations.handwritten import judge
from expectations.table_rules import TableRules
from expectations.texts import fitting
from expectations.witnesses import ORDERED, Frame, looks, side_by_side, together

if TYPE_CHECKING:
    from expectations.contract import Contract
    from expectations.findings import Engine

COLUMNS_PER_BATCH = 4


class Judgement:
    """One check under way: the frame, the engine, and what was found."""

    def __init__(self, frame: Frame, contract: Contract, engine: Engine) -> None:
        self.frame = frame
        self.contract = contract
        roles = ("feature", "target", "id", "group", "time", "weight", "text")
        named = [name for name in contract.columns if name in frame]
        self.rules = [
            rule
            for rule in contract.row_rules(*roles)
            if all(name in frame for name in rule.get("columns", [rule["column"]]))
        ]
        types: dict[str, set[str]] = {name: set() for name in named}
        for rule in self.rules:
            if rule["type"] != "check":
                types[rule["column"]].add(rule["type"])
        self.looks = looks(frame, types)
        self.missing = {name: look.missing for name, look in self.looks.items()}
        self.engine = engine
        self.rows: dict[str, np.ndarray] = {}
        self.found = Findings(len(frame))

    def result(self) -> CheckResult:
        """Judge all rules of the contract."""
        self._row_rules([rule for rule in self.rules if rule["type"] != "check"])
        for rule in (rule for rule in self.rules if rule["type"] == "check"):
            cells = self.frame[rule["columns"]]
            places = judge_check(rule, cells, self.engine, self.found)
            if places is not None:
                self.rows[rule["id"]] = places
        TableRules(self.frame, self.contract, self.missing, self.engine, self.found).judge()
        for number, custom in enumerate(self.contract.expectations):
            rule = f"expectations[{number}].{custom.name}"
            judge(custom, rule, self.frame, [*self.missing], self.engine, self.found)
        full = {
            "engine": f"great_expectations {self.engine.version}",
            "rows": len(self.frame),
            "results": self.found.results,
        }
        return CheckResult(
            row_failures=self.rows,
            table_failures=self.found.failures,
            full=full,
            looks=self.looks,
        )

    # ------------------------------------------------------------ rules of single rows

    def _row_rules(self, rules: list[dict[str, Any]]) -> None:
        first = self._witnessed(rules)
        second = self._whole([rule for rule in rules if not first[rule["id"]].success])
        for rule in rules:
            outcome = second.get(rule["id"], first[rule["id"]])
            judged = len(self.frame) - self.missing[rule["column"]] * (rule["type"] != "present")
            entry = self.found.keep(rule["id"], rule["severity"], outcome, judged)
            if outcome.error:
                self.found.errored(rule["id"], rule["column"], rule["severity"], outcome)
            elif not outcome.success:
                places = np.sort(np.array(outcome.places, dtype=np.int64))
                self.rows[rule["id"]] = places
                entry["unexpected"] = len(places)
                if self._stands_in(rule):  # what was judged are not the cells themselves
                    column = self.frame[rule["column"]]
                    cells = column.iloc[places[: len(entry["values"])]]
                    entry["values"] = [shown(cell) for cell in cells]

    def _stands_in(self, rule: dict[str, Any]) -> bool:
        dates = self.looks[rule["column"]].cells.dtype.kind == "M"
        return "pattern" in rule or dates

    def _witnessed(self, rules: list[dict[str, Any]]) -> dict[str, Outcome]:
        """Judge each rule by the cells that answer for its column."""
        outcomes = self._told_together(rules)
        rest = [rule for rule in rules if rule["id"] not in outcomes]
        names = list(dict.fromkeys(rule["column"] for rule in rest))
        for some in together(names, self.looks):
            safe = {name: f"c{place}" for place, name in enumerate(some)}
            part = side_by_side({safe[name]: self.looks[name] for name in some})
            here = [rule for rule in rest if rule["column"] in safe]
            outcomes |= self._judged(part, here, safe, "BOOLEAN_ONLY")
        return outcomes

    def _told_together(self, rules: list[dict[str, Any]]) -> dict[str, Outcome]:
        """Judge what a few numbers of each column answer, of all columns as one small table."""
        ids = [rule["id"] for rule in rules if rule["type"] == "present"]
        gaps = [self.missing[rule["column"]] for rule in rules if rule["type"] == "present"]
        none = ("expect_column_values_to_be_in_set", {"column": "missing", "value_set": [0]})
        failed = self._failing(pd.DataFrame({"missing": gaps}), ids, none)
        for strict in (False, True):
            found = [self._ends(rule, strict=strict) for rule in rules if rule["type"] == "range"]
            ends = [pair for pairs in found for pair in pairs]
            ids += [rule for rule, _, _ in ends]
            part = pd.DataFrame([pair[1:] for pair in ends], columns=["more", "less"], dtype=float)
            pair = {"column_A": "more", "column_B": "less", "or_equal": not strict}
            asked = ("expect_column_pair_values_a_to_be_greater_than_b", pair)
            failed |= self._failing(part, [rule for rule, _, _ in ends], asked)
        return {rule: Outcome(success=rule not in failed) for rule in ids}

    def _failing(
        self, part: pd.DataFrame, ids: list[str], asked: tuple[str, dict[str, Any]]
    ) -> set[str]:
        """Return the rules whose row of a small table fails, all where that cannot be told."""
        if not ids:
            return set()
        outcome = self.engine.run(part, [asked], COMPLETE)[0]
        return set(ids) if outcome.error else {ids[place] for place in outcome.places}

    def _ends(self, rule: dict[str, Any], *, strict: bool) -> list[tuple[str, float, float]]:
        """Return what must be more than what, for the least and the greatest cell of a column."""
        column, cells = self.contract.columns[rule["column"]], self.looks[rule["column"]].cells
        if cells.dtype.kind not in ORDERED or not len(cells):
            return []
        least, most = _number(cells.min()), _number(cells.max())
        low, high = _number(column.low), _number(column.high)
        found = []
        if low is not None and column.strict_min is strict:
            found.append((rule["id"], float(least), float(low)))
        if high is not None and column.strict_max is strict:
            found.append((rule["id"], float(high), float(most)))
        return found

    def _whole(self, rules: list[dict[str, Any]]) -> dict[str, Outcome]:
        """Judge rules on whole columns, and list the rows that break them."""
        names = list(dict.fromkeys(rule["column"] for rule in rules))
        outcomes: dict[str, Outcome] = {}
        for start in range(0, len(names), COLUMNS_PER_BATCH):
            safe = {n: f"c{i}" for i, n in enumerate(names[start : start + COLUMNS_PER_BATCH])}
            part = self.frame[list(safe)].set_axis(list(safe.values()), axis=1)
            here = [rule for rule in rules if rule["column"] in safe]
            outcomes |= self._judged(part, here, safe, COMPLETE)
        return outcomes

    def _judged(
        self, part: pd.DataFrame, rules: list[dict[str, Any]], safe: dict[str, str], form: Any
    ) -> dict[str, Outcome]:
        """Run rules on one batch, whose columns have the names that `safe` gives them."""
        matched = {
            f"{safe[rule['column']]} {rule['type']}": fitting(
                pd.Series(part[safe[rule["column"]]]), rule["pattern"]
            )
            for rule in rules
            if "pattern" in rule
        }
        part = part.assign(**matched, **_as_numbers(part))
        suite = [self._compiled(rule, safe[rule["column"]]) for rule in rules]
        found = self.engine.run(part, suite, form)
        return {rule["id"]: outcome for rule, outcome in zip(rules, found, strict=True)}

    def _compiled(self, rule: dict[str, Any], column: str) -> tuple[str, dict[str, Any]]:
        if rule["type"] == "present":
            return "expect_column_values_to_not_be_null", {"column": column}
        if rule["type"] == "levels":
            values = {"column": column, "value_set": rule["levels"]}
            return "expect_column_values_to_be_in_set", values
        if "pattern" in rule:
            values = {"column": f"{column} {rule['type']}", "value_set": [1.0]}
            return "expect_column_values_to_be_in_set", values
        if rule["type"] == "length":
            least = rule.get("min", 0)
            values = {"column": column, "min_value": least, "max_value": rule["max"]}
            return "expect_column_value_lengths_to_be_between", values
        source = self.contract.columns[rule["column"]]
        low, high = (_number(bound) for bound in (source.low, source.high))
        values = {"column": column, "min_value": low, "max_value": high}
        values |= {name: rule[name] for name in ("strict_min", "strict_max")}
        return "expect_column_values_to_be_between", values


def _as_numbers(part: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the columns of dates as whole microseconds since 1970, missing where they are."""
    found = {}
    for name in part.columns[[kind.kind == "M" for kind in part.dtypes]]:
        moments = part[name].to_numpy("datetime64[us]")
        cells = pd.arrays.IntegerArray(moments.astype(np.int64), np.isnat(moments))
        found[str(name)] = pd.Series(cells, index=part.index)
    return found


def _number(bound: Any) -> Any:
    """Return a bound as the cells are: a moment as whole microseconds since 1970."""
    if isinstance(bound, dt.date):
        return int(pd.Timestamp(bound).to_datetime64().astype("datetime64[us]").astype(np.int64))
    return bound
