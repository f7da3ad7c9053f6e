"""Run the contract: bad rows are set aside, a bad table is refused with one bounded error.

- A row is set aside for an untypable cell, a critical row rule, or having no feature at all; up to
  `data.max_fraction` of all rows, or of those of single rules, above which the table is refused.
- What is set aside is written, every row of it, whether the table passes or is refused.
- Everything that is wrong is collected first and told at once.
- What no fit could survive is refused here: too few rows, one class, a constant target, no feature.
- A feature whose every cell is missing is left out, of the model too: `schema.json` lacks it.

`validation.json`:

```json
{"rows": 1000, "passed": 997, "quarantined": 3, "max_fraction": 0.01,
 "limits": [Limit...],                                  as quarantine_limits.Limit.to_json
 "rules": {"age.range": 2, "income.type": 1},          rows set aside by rule
 "failures": [Failure...], "warnings": [Failure...],    as expectations.failure.Failure.to_json
 "dropped": {"cabin": "every cell is missing"},         features that the model does not get
 "features": 12, "task": "binary", "classes": {"bad": 300, "good": 697},
 "contract": {"digest": "...", "accepted": true},
 "checks": {"engine": "great_expectations 1.24.1", "rows": 1000, "results": [...]}}
```
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.errors import DataRefused, SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import pandas as pd

    from expectations.contract import Contract
    from expectations.failure import Failure
    from expectations.findings import CheckResult
    from flows.quarantine import Offence
    from flows.quarantine_limits import Limit
    from flows.quarantine_records import Records
    from flows.soundness import Target
    from flows.spec import Spec
    from flows.typed_table import TypedTable

TOLD = 5  # limits that a refusal names
KEPT = 200  # failures and warnings that are recorded; a table may have thousands of columns


def refuse_columns(contract: Contract, names: Iterable[str]) -> list[Failure]:
    """Check a table's column names; return the warnings.

    Raises:
        DataRefused: the contract names a column that the table lacks, or forbids an extra one.

    """
    from expectations.names import column_failures

    failures = column_failures(contract, names)
    critical = [failure for failure in failures if failure.severity == "critical"]
    if critical:
        raise _refusal("the table does not have the contract's columns", critical)
    return failures


def validate(
    spec: Spec,
    contract: Contract,
    schema: Mapping[str, Any],
    typed_path: Path,
    untypable_path: Path,
    table_path: Path,
    out: Path,
    *,
    refused: Path | None = None,
) -> dict[str, Any]:
    """Judge the typed table; write what passed, what is set aside, and what was found.

    Writes `clean.parquet` (typed rows that passed, without dropped features), what
    `flows/quarantine_rows.py` says of the rows set aside, `schema.json` (the reading schema without
    dropped features) and `validation.json`. Of a table that is refused, the rows that would have
    been set aside and `validation.json` go into the folder `refused`, where one is given.

    Returns:
        The facts of `validation.json` without `checks`.

    Raises:
        DataRefused: the table breaks a critical rule, or too many of its rows do.
        SettingsError: an expectation of the contract has arguments that are refused, or a limit of
            `data.max_fraction` names nothing.

    """
    from flows import quarantine_rows
    from flows.quarantine_records import Records
    from flows.tables import read_parquet
    from flows.typed_table import TypedTable

    typed, untypable = TypedTable(typed_path), read_parquet(untypable_path)
    aside = Records.beside(table_path)
    found = _judged(spec, contract, schema, typed, untypable, aside)
    if place := refused if found.headlines else out:
        place.mkdir(parents=True, exist_ok=True)
        _write(place / "validation.json", found.facts() | {"checks": found.checks})
        quarantine_rows.write(place, table_path, typed, found.offences, found.bad, aside.table)
    if found.headlines:
        raise _refusal("; ".join(found.headlines), found.critical, found.deciding)
    _write_clean(typed_path, out / "clean.parquet", found.bad, _without(schema, found.dropped))
    _write(out / "schema.json", _narrowed(schema, found))
    return found.facts()


def _write_clean(typed: Path, clean: Path, bad: np.ndarray, without: Sequence[str]) -> None:
    """Write the typed rows that are not `bad`, without some columns, block by block."""
    import shutil

    import pyarrow as pa

    from flows.tables import Writer, batches, group_rows

    if not bad.any() and not without:
        shutil.copyfile(typed, clean)
        return
    import pyarrow.parquet as pq

    schema = pq.read_schema(typed)
    names = [name for name in schema.names if name not in without]
    start = 0
    with Writer(clean, pa.schema([schema.field(name) for name in names])) as writer:
        for table in batches(typed, names, rows=group_rows(len(names))):
            here = bad[start : start + table.num_rows]
            start += table.num_rows
            rows = table.select(names)
            writer.write(rows.filter(pa.array(~here)) if here.any() else rows)


@dataclass(frozen=True, kw_only=True)
class _Found:
    """All that was found about a table."""

    contract: Contract
    limits: list[Limit]
    bad: np.ndarray
    offences: list[Offence]
    failures: list[Failure]
    dropped: dict[str, str]
    features: int
    target: Target
    checks: dict[str, Any]
    headlines: list[str]
    aside: Records

    @property
    def critical(self) -> list[Failure]:
        """The failures that set rows aside or refuse the table."""
        return [failure for failure in self.failures if failure.severity == "critical"]

    @property
    def deciding(self) -> set[str]:
        """The rules that are over a limit of their own; they are told first."""
        return {rule for limit in self.limits[1:] if limit.over for rule in limit.rules}

    def facts(self) -> dict[str, Any]:
        """Return what `validation.json` holds, without the single checks."""
        warnings = [failure for failure in self.failures if failure.severity == "warning"]
        return {
            "rows": len(self.bad) + self.aside.count,
            "passed": int((~self.bad).sum()),
            "quarantined": int(self.bad.sum()) + self.aside.count,
            "max_fraction": self.limits[0].allowed,
            "limits": [limit.to_json() for limit in self.limits],
            "rules": self.aside.counts
            | {o.rule: len(o.rows) for o in self.offences if o.severity == "critical"},
            "failures": [failure.to_json() for failure in self.critical[:KEPT]],
            "warnings": [failure.to_json() for failure in warnings[:KEPT]],
            "dropped": self.dropped,
            "features": self.features,
            "task": self.target.task,
            "classes": self.target.classes,
            "contract": {"digest": self.contract.digest(), "accepted": self.contract.accepted},
        }


def _judged(
    spec: Spec,
    contract: Contract,
    schema: Mapping[str, Any],
    typed: TypedTable,
    untypable: pd.DataFrame,
    aside: Records,
) -> _Found:
    import numpy as np

    from flows.quarantine import failures_of, offences
    from flows.quarantine_records import by_rule
    from flows.soundness import sound

    checked = _checked(spec, contract, typed)
    found = offences(contract, schema, typed, untypable, checked.row_failures)
    broken = {o.rule: o.rows for o in found if o.severity == "critical"}
    bad = np.zeros(len(typed), dtype=bool)
    for rows in broken.values():
        bad[rows] = True
    broken |= by_rule(aside.table, len(bad))
    held, idle = _limits(spec, contract, broken, len(bad) + aside.count)
    over = [limit for limit in held if limit.over]
    # what an overfull quarantine leaves is no table to draw conclusions from
    kept = np.full(len(bad), fill_value=True) if over else ~bad
    verdict = sound(spec, contract, schema, typed, kept, checked.looks)
    rules = {failure.rule for failure in verdict.failures}
    table = [f for f in checked.table_failures if f.rule not in rules] + verdict.failures
    headlines = [limit.headline() for limit in over[:TOLD]]
    headlines += [f"{len(over) - TOLD} more limits are passed"] if len(over) > TOLD else []
    refusing = [f for f in table if f.severity == "critical"]
    if refusing:
        count = len(refusing)
        headlines.append(f"the table breaks {count} critical rule{'s' if count > 1 else ''}")
    return _Found(
        contract=contract,
        limits=held,
        bad=bad,
        offences=found,
        failures=table + idle + aside.failures + failures_of(typed, found),
        dropped=verdict.dropped,
        features=verdict.features,
        target=verdict.target,
        checks=checked.full,
        headlines=headlines,
        aside=aside,
    )


def _limits(
    spec: Spec, contract: Contract, broken: Mapping[str, np.ndarray], rows: int
) -> tuple[list[Limit], list[Failure]]:
    """Hold the broken rules against `data.max_fraction`; also warn of limits that cannot bind."""
    from flows.quarantine import ROLES, rules_known
    from flows.quarantine_limits import idle, limits

    known = rules_known(contract)
    warned = {r["id"] for r in contract.row_rules(*ROLES) if r["severity"] == "warning"}
    try:
        held = limits(spec.data.max_fraction, known, broken, rows)
    except ValueError as error:
        msg = f"{spec.path}: {error}"
        raise SettingsError(msg) from None
    return held, idle(held, known, warned)


def _checked(spec: Spec, contract: Contract, typed: TypedTable) -> CheckResult:
    from expectations.check import check

    try:
        return check(typed, contract)
    except ValueError as error:
        msg = f"{spec.contract_path}: {error}"
        raise SettingsError(msg) from None


def _without(schema: Mapping[str, Any], dropped: Mapping[str, str]) -> list[str]:
    """Return the columns that go with the dropped features: themselves and what derives."""
    derived = [entry["name"] for entry in schema.get("derived", []) if entry["column"] in dropped]
    return [*dropped, *derived]


def _narrowed(schema: Mapping[str, Any], found: _Found) -> dict[str, Any]:
    """Return the reading schema without dropped features, with the task where it was open."""
    from flows.derive import narrowed

    dropped = found.dropped
    kept = {
        **narrowed(schema, dropped),
        "derived": [e for e in schema.get("derived", []) if e["column"] not in dropped],
        "rules": [rule for rule in schema.get("rules", []) if rule["column"] not in dropped],
    }
    return {**schema, **kept, "task": found.target.task, "dropped": dropped}


def _refusal(
    headline: str, failures: Sequence[Failure], first: Collection[str] = ()
) -> DataRefused:
    """Return the refusal, the rules `first` before all others."""
    from expectations.failure import RULES_SHOWN, describe

    deciding = [failure for failure in failures if failure.rule in first]
    others = [failure for failure in failures if failure.rule not in first]
    told = [describe(deciding)] if deciding else []
    told += [describe(others, max(RULES_SHOWN - len(deciding), 1))] if others else []
    return DataRefused("\n".join([headline, *told]), (deciding + others)[:KEPT])


def _write(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
