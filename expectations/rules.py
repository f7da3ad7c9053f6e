"""How each rule of a contract is judged on a typed table, whatever engine does the judging.

- Narrow batches: Great Expectations copies the whole frame for each column, so a wide batch is
  quadratic. Inside a batch columns are called c0, c1, ...: it folds case and would judge `Age`
  by `age`.
- Two passes: a boolean one over all row rules, a complete one only for those that failed.
- Nothing passes vacuously: no rows is a failure, all cells missing is a failure, a rule that
  raised is told apart from one that failed, and one that judged no cell never passes.
- Missing shares are computed once and judged as one small table, not as one rule per column.
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
from expectations.failure import located, shown
from expectations.findings import COMPLETE, CheckResult, Findings, Outcome
from expectations.handwritten import judge
from expectations.texts import fitting

if TYPE_CHECKING:
    from expectations.contract import Contract
    from expectations.failure import Severity
    from expectations.findings import Engine

COLUMNS_PER_BATCH = 4
ROUNDING = 1e-9  # a share of 3/30 is not exactly 0.1, and a share that is met must pass


class Judgement:
    """One check under way: the frame, the engine, and what was found."""

    def __init__(self, frame: pd.DataFrame, contract: Contract, engine: Engine) -> None:
        self.frame = frame
        self.contract = contract
        self.missing = {
            n: int(frame[n].isna().to_numpy().sum()) for n in contract.columns if n in frame
        }
        self.engine = engine
        self.rows: dict[str, np.ndarray] = {}
        self.found = Findings(len(frame))

    def result(self) -> CheckResult:
        """Judge all rules of the contract."""
        roles = ("feature", "target", "id", "group", "time", "weight", "text")
        rules = [
            rule
            for rule in self.contract.row_rules(*roles)
            if all(name in self.missing for name in rule.get("columns", [rule["column"]]))
        ]
        self._row_rules([rule for rule in rules if rule["type"] != "check"])
        for rule in (rule for rule in rules if rule["type"] == "check"):
            places = judge_check(rule, self.frame, self.engine, self.found)
            if places is not None:
                self.rows[rule["id"]] = places
        self._row_count()
        self._missing_shares()
        self._unique(list(self.contract.unique), "table.unique", self.contract.unique_rule)
        for name, column in self.contract.columns.items():
            if column.unique and column.role != "ignored":
                self._unique([name], f"{name}.unique", self.contract.severity(name, "unique"))
        for number, custom in enumerate(self.contract.expectations):
            rule = f"expectations[{number}].{custom.name}"
            judge(custom, rule, self.frame.loc[:, [*self.missing]], self.engine, self.found)
        full = {
            "engine": f"great_expectations {self.engine.version}",
            "rows": len(self.frame),
            "results": self.found.results,
        }
        return CheckResult(row_failures=self.rows, table_failures=self.found.failures, full=full)

    # ------------------------------------------------------------ rules of single rows

    def _row_rules(self, rules: list[dict[str, Any]]) -> None:
        first = self._pass(rules, "BOOLEAN_ONLY")
        again = [rule for rule in rules if not first[rule["id"]].success]
        second = self._pass(again, COMPLETE)
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
                dates = self.frame[rule["column"]].dtype.kind == "M"
                if "pattern" in rule or dates:  # what was judged are not the cells themselves
                    cells = self.frame[rule["column"]].iloc[places[: len(entry["values"])]]
                    entry["values"] = [shown(cell) for cell in cells]

    def _pass(self, rules: list[dict[str, Any]], form: Any) -> dict[str, Outcome]:
        names = list(dict.fromkeys(rule["column"] for rule in rules))
        outcomes: dict[str, Outcome] = {}
        for start in range(0, len(names), COLUMNS_PER_BATCH):
            safe = {n: f"c{i}" for i, n in enumerate(names[start : start + COLUMNS_PER_BATCH])}
            part = self.frame.loc[:, list(safe)].set_axis(list(safe.values()), axis=1)
            here = [rule for rule in rules if rule["column"] in safe]
            matched = {
                f"{safe[rule['column']]} {rule['type']}": fitting(
                    pd.Series(self.frame[rule["column"]]), rule["pattern"]
                )
                for rule in here
                if "pattern" in rule
            }
            part = part.assign(**matched, **_as_numbers(part))
            suite = [self._compiled(rule, safe[rule["column"]]) for rule in here]
            found = self.engine.run(part, suite, form)
            outcomes |= {rule["id"]: outcome for rule, outcome in zip(here, found, strict=True)}
        return outcomes

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

    # ------------------------------------------------------------ rules of the table

    def _row_count(self) -> None:
        least, most, rows = self.contract.min_rows, self.contract.max_rows, len(self.frame)
        part = pd.DataFrame({"row": np.arange(rows)})
        bounds = {"min_value": least, "max_value": most}
        suite = [("expect_table_row_count_to_be_between", bounds)]
        outcome = self.engine.run(part, suite, "BASIC")[0]
        self.found.keep("table.rows", "critical", outcome, rows)
        if not outcome.success:
            few = rows < least
            asked = f"at least {least:,}" if few else f"at most {most:,}"
            more = (
                "gather more rows, or lower min_rows" if few else "take rows out, or raise max_rows"
            )
            self.found.fail(
                "table.rows",
                None,
                "critical",
                count=1,
                total=1,
                message=f"the table must have {asked} rows, it has {rows:,}",
                advice=f"{more} in the contract",
            )

    def _missing_shares(self) -> None:
        names = [n for n in self.missing if self.contract.columns[n].role != "ignored"]
        limits = [self.contract.columns[n].missing_share for n in names]
        total = len(self.frame)
        allowed = [1.0 if limit is None else limit + ROUNDING for limit in limits]
        shares = [self.missing[n] / total for n in names]
        part = pd.DataFrame({"allowed": allowed, "share": shares})
        pair = {"column_A": "allowed", "column_B": "share", "or_equal": True}
        suite = [("expect_column_pair_values_a_to_be_greater_than_b", pair)]
        outcome = self.engine.run(part, suite, COMPLETE)[0]
        if outcome.error:
            raise RuntimeError(f"missing shares could not be judged: {outcome.error}")
        over = set(outcome.places)
        for place, (name, limit) in enumerate(zip(names, limits, strict=True)):
            self._share(name, limit, over=place in over)

    def _share(self, name: str, limit: float | None, *, over: bool) -> None:
        count, total = self.missing[name], len(self.frame)
        rule, severity = f"{name}.missing_share", self.contract.severity(name, "missing_share")
        if limit is not None:
            entry = {"rule": rule, "success": not over, "severity": severity, "judged": total}
            self.found.results.append(entry | {"missing": count, "allowed": limit})
        if count == total:
            required = self.contract.columns[name].role in ("target", "weight", "time", "group")
            self.found.fail(
                f"{name}.empty",
                name,
                "critical" if required else "warning",
                count=count,
                message="must have cells, every one is missing",
                advice="give the column values, or drop it in the settings (data.drop)",
            )
        elif over:
            self.found.fail(
                rule,
                name,
                severity,
                count=count,
                message=f"at most {limit:.6g} of the cells may be missing, {count / total:.4g} are",
                advice="find out why cells are missing, or raise missing_share in the contract",
            )

    def _unique(self, names: list[str], rule: str, severity: Severity) -> None:
        if not names or any(name not in self.frame for name in names):
            return
        part = self.frame.loc[:, names].set_axis([f"c{i}" for i in range(len(names))], axis=1)
        suite = [("expect_compound_columns_to_be_unique", {"column_list": list(part.columns)})]
        if len(names) == 1:
            suite = [("expect_column_values_to_be_unique", {"column": "c0"})]
        outcome = self.engine.run(part, suite, COMPLETE)[0]
        self.found.keep(rule, severity, outcome, len(self.frame))
        if outcome.error:
            self.found.errored(rule, None, severity, outcome)
        elif not outcome.success:
            rows = sorted(outcome.places)
            values = [
                ", ".join(shown(v) for v in self.frame.loc[:, names].iloc[r]) for r in rows[:5]
            ]
            examples = located(self.frame, rows, values)
            self.found.fail(
                rule,
                names[0] if len(names) == 1 else None,
                severity,
                count=len(rows),
                message=f"no two rows may share {' and '.join(shown(n) for n in names)}",
                advice="remove the repeated rows, or take the columns out of unique",
                examples=examples,
            )


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
