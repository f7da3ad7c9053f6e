"""Run the contract: bad rows are set aside, a bad table is refused with one bounded error.

- A row is set aside for an untypable cell, a critical row rule, or having no feature at all; up to
  `data.max_fraction` of all rows, above which the whole table is refused.
- Everything that is wrong is collected first and told at once.
- What no fit could survive is refused here: too few rows, one class, a constant target, no feature.
- A feature whose every cell is missing is left out, of the model too: `schema.json` lacks it.

`validation.json`:

```json
{"rows": 1000, "passed": 997, "quarantined": 3, "max_fraction": 0.01,
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
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import pandas as pd

    from expectations.contract import Contract
    from expectations.failure import Failure
    from expectations.findings import CheckResult
    from flows.quarantine import Offence
    from flows.soundness import Target
    from flows.spec import Spec

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
    out: Path,
) -> dict[str, Any]:
    """Judge the typed table; write what passed, what is set aside, and what was found.

    Writes `clean.parquet` (typed rows that passed, without dropped features),
    `quarantined.parquet` (row, source, record, rules, column, value), `schema.json` (the reading
    schema without dropped features) and `validation.json`, which is written on refusal too.

    Returns:
        The facts of `validation.json` without `checks`.

    Raises:
        DataRefused: the table breaks a critical rule, or too many of its rows do.
        SettingsError: an expectation of the contract has arguments that are refused.

    """
    from flows.quarantine import quarantined
    from flows.tables import read_parquet, write_parquet

    typed, untypable = read_parquet(typed_path), read_parquet(untypable_path)
    found = _judged(spec, contract, schema, typed, untypable)
    _write(out / "validation.json", found.facts() | {"checks": found.checks})
    if found.headlines:
        raise _refusal("; ".join(found.headlines), found.critical)
    write_parquet(quarantined(typed, found.offences, found.bad), out / "quarantined.parquet")
    clean = typed.loc[~found.bad].drop(columns=_without(schema, found.dropped))
    write_parquet(clean.reset_index(drop=True), out / "clean.parquet")
    _write(out / "schema.json", _narrowed(schema, found))
    return found.facts()


@dataclass(frozen=True, kw_only=True)
class _Found:
    """All that was found about a table."""

    contract: Contract
    limit: float
    bad: np.ndarray
    offences: list[Offence]
    failures: list[Failure]
    dropped: dict[str, str]
    features: int
    target: Target
    checks: dict[str, Any]
    headlines: list[str]

    @property
    def critical(self) -> list[Failure]:
        """The failures that set rows aside or refuse the table."""
        return [failure for failure in self.failures if failure.severity == "critical"]

    def facts(self) -> dict[str, Any]:
        """Return what `validation.json` holds, without the single checks."""
        warnings = [failure for failure in self.failures if failure.severity == "warning"]
        return {
            "rows": len(self.bad),
            "passed": int((~self.bad).sum()),
            "quarantined": int(self.bad.sum()),
            "max_fraction": self.limit,
            "rules": {o.rule: len(o.rows) for o in self.offences if o.severity == "critical"},
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
    typed: pd.DataFrame,
    untypable: pd.DataFrame,
) -> _Found:
    import numpy as np

    from flows.quarantine import failures_of, offences
    from flows.soundness import sound

    checked = _checked(spec, contract, typed)
    found = offences(contract, schema, typed, untypable, checked.row_failures)
    bad = np.zeros(len(typed), dtype=bool)
    for offence in found:
        if offence.severity == "critical":
            bad[offence.rows] = True
    over = bad.sum() > spec.data.max_fraction * len(bad)
    # what an overfull quarantine leaves is no table to draw conclusions from
    verdict = sound(
        spec, contract, schema, typed, np.full(len(bad), fill_value=True) if over else ~bad
    )
    rules = {failure.rule for failure in verdict.failures}
    table = [f for f in checked.table_failures if f.rule not in rules] + verdict.failures
    headlines = [_over(bad, spec.data.max_fraction)] if over else []
    refusing = [f for f in table if f.severity == "critical"]
    if refusing:
        count = len(refusing)
        headlines.append(f"the table breaks {count} critical rule{'s' if count > 1 else ''}")
    return _Found(
        contract=contract,
        limit=spec.data.max_fraction,
        bad=bad,
        offences=found,
        failures=table + failures_of(typed, found),
        dropped=verdict.dropped,
        features=verdict.features,
        target=verdict.target,
        checks=checked.full,
        headlines=headlines,
    )


def _over(bad: np.ndarray, limit: float) -> str:
    count, total = int(bad.sum()), len(bad)
    return (
        f"{count:,} of {total:,} rows ({count / total:.2%}) break critical rules, at most "
        f"{limit:.2%} may be set aside (data.max_fraction)"
    )


def _checked(spec: Spec, contract: Contract, typed: pd.DataFrame) -> CheckResult:
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
    dropped = found.dropped
    kept = {
        "columns": [entry for entry in schema["columns"] if entry["name"] not in dropped],
        "derived": [e for e in schema.get("derived", []) if e["column"] not in dropped],
        "rules": [rule for rule in schema.get("rules", []) if rule["column"] not in dropped],
    }
    return {**schema, **kept, "task": found.target.task, "dropped": dropped}


def _refusal(headline: str, failures: Sequence[Failure]) -> DataRefused:
    from expectations.failure import describe

    return DataRefused(f"{headline}\n{describe(failures)}", failures[:KEPT])


def _write(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
