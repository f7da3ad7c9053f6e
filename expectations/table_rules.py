"""Rules of the whole table: how many rows, how many missing cells, and what may not repeat.

- Missing shares are computed once and judged as one small table, not as one rule per column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from expectations.failure import located, shown
from expectations.findings import COMPLETE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from expectations.contract import Contract
    from expectations.failure import Severity
    from expectations.findings import Engine, Findings
    from expectations.witnesses import Frame

ROUNDING = 1e-9  # a share of 3/30 is not exactly 0.1, and a share that is met must pass


class TableRules:
    """Those of one contract, judged on one table."""

    def __init__(
        self,
        frame: Frame,
        contract: Contract,
        missing: Mapping[str, int],
        engine: Engine,
        found: Findings,
    ) -> None:
        """`missing` counts the missing cells of the contract's columns that the table has."""
        self.frame, self.contract, self.missing = frame, contract, missing
        self.engine, self.found = engine, found

    def judge(self) -> None:
        """Judge all of them; what is found goes into `found`."""
        self._row_count()
        self._missing_shares()
        self._unique(list(self.contract.unique), "table.unique", self.contract.unique_rule)
        for name, column in self.contract.columns.items():
            if column.unique and column.role != "ignored":
                self._unique([name], f"{name}.unique", self.contract.severity(name, "unique"))

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
        cells = self.frame[names]
        part = cells.set_axis([f"c{i}" for i in range(len(names))], axis=1)
        suite = [("expect_compound_columns_to_be_unique", {"column_list": list(part.columns)})]
        if len(names) == 1:
            suite = [("expect_column_values_to_be_unique", {"column": "c0"})]
        outcome = self.engine.run(part, suite, COMPLETE)[0]
        self.found.keep(rule, severity, outcome, len(self.frame))
        if outcome.error:
            self.found.errored(rule, None, severity, outcome)
        elif not outcome.success:
            rows = sorted(outcome.places)
            values = [", ".join(shown(v) for v in cells.iloc[r]) for r in rows[:5]]
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
