"""Expectations that a person wrote into the contract, by Great Expectations' own names.

- Judged on the whole table; a failure refuses it or warns, and sets no row aside.
- Names are checked exactly before: it folds case, and would judge a column's twin.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from expectations.failure import Example, shown
from expectations.findings import Engine, Findings, Outcome, plain

if TYPE_CHECKING:
    import pandas as pd

    from expectations.contract import Custom
    from expectations.witnesses import Frame

DATED = ("min_value", "max_value", "value_set")
"""Arguments that may hold dates."""
ISO = re.compile(r"\d{4}-\d\d-\d\d([T ][\d:.]+)?")
ROW_COUNT, COLUMNS = "expect_table_row_count", "expect_table_column"
"""Expectations that look at no cell: at how many rows there are, at what the columns are called."""
NAMING = ("column", "column_A", "column_B", "column_list")  # arguments that name columns


def judge(
    custom: Custom,
    rule: str,
    frame: Frame,
    known: list[str],
    engine: Engine,
    found: Findings,
) -> None:
    """Judge one hand-written expectation on the columns of a table that the contract has (`known`)."""
    named = [custom.kwargs[key] for key in NAMING if key in custom.kwargs]
    names = [n for part in named for n in (part if isinstance(part, list) else [part])]
    column = str(names[0]) if len(names) == 1 else None
    outcome = _outcome(custom, rule, frame, names, known, engine)
    entry = found.keep(rule, custom.severity, outcome, outcome.judged)
    entry["observed"] = plain(outcome.observed)
    if outcome.error:
        found.errored(rule, column, custom.severity, outcome)
    elif not outcome.success:
        seen = "" if outcome.observed is None else f", found {plain(outcome.observed)}"
        said = ", but no cell could be judged" if outcome.judged == 0 else seen
        found.fail(
            rule,
            column,
            custom.severity,
            count=outcome.unexpected or 1,
            total=None if outcome.unexpected else 1,
            message=_sentence(custom) + said,
            advice="correct the table, or the [[expectations]] entry of the contract",
            examples=[Example(row=None, value=shown(cell)) for cell in outcome.cells[:5]],
        )


def _outcome(
    custom: Custom, rule: str, frame: Frame, names: list[str], known: list[str], engine: Engine
) -> Outcome:
    absent = [name for name in names if name not in known]
    if absent:
        said = f"the typed table has no column {shown(absent[0])}"
        return Outcome(success=False, error=said)
    alone = names and not any("condition" in key for key in custom.kwargs)
    wanted = list(dict.fromkeys(names)) if alone else known
    twins = [n for n, c in Counter(name.casefold() for name in wanted).items() if c > 1]
    if twins:
        said = (
            f"Great Expectations cannot tell apart columns that differ by case: {shown(twins[0])}"
        )
        return Outcome(success=False, error=said)
    if custom.name.startswith(ROW_COUNT):
        part = _shape(len(frame), wanted[:1])
    else:
        part = _shape(1, wanted) if custom.name.startswith(COLUMNS) else frame[wanted]
    arguments = dated(custom.kwargs, part, names)
    return engine.run(part, [(custom.name, arguments)], "SUMMARY", rule)[0]


def _shape(rows: int, names: list[str]) -> pd.DataFrame:
    """Return a frame of so many rows and these columns, of which no cell matters."""
    import numpy as np
    import pandas as pd

    return pd.DataFrame(np.zeros((rows, len(names)), dtype=bool), columns=names)


def dated(kwargs: dict[str, Any], frame: pd.DataFrame, names: list[str]) -> dict[str, Any]:
    """Return arguments with dates as moments: Great Expectations compares with nothing else."""
    moments = any(frame[name].dtype.kind == "M" for name in names)

    def typed(value: Any) -> Any:
        if isinstance(value, list):
            return [typed(item) for item in value]
        if isinstance(value, date) and not isinstance(value, datetime):
            return datetime.combine(value, time.min)
        if isinstance(value, str) and ISO.fullmatch(value):
            return datetime.fromisoformat(value)
        return value

    return {k: typed(v) if moments and k in DATED else v for k, v in kwargs.items()}


def _sentence(custom: Custom) -> str:
    said = ", ".join(f"{k} = {v}" for k, v in custom.kwargs.items() if k != "column")
    return f"{custom.name.replace('_', ' ')}{f' ({shown(said, 200)})' if said else ''}"
