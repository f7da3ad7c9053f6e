"""What a run set aside as a table to look at or to take away."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from expectations.failure import shown
from flows import quarantine_store
from flows.errors import PenstockError
from flows.quarantine_limits import meets
from flows.scored import harmless

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa

    from flows.home import Home


def table(home: Home, index: Mapping[str, Any], rule: str | None, *, rows: bool) -> pa.Table:
    """Return the offences of a run, or the rows themselves with the rules that each breaks.

    Args:
        home: where they are.
        index: the run's.
        rule: only what this rule, column or pattern meets.
        rows: whole rows, once each, with `__rules__` after their own columns.

    Raises:
        PenstockError: nothing meets `rule`, or the files are gone or changed.

    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    lines = pq.read_table(quarantine_store.verified(home, index, "lines"))
    if rule is not None:
        lines = _met(lines, rule, index)
    if not rows:
        return lines.drop_columns("run")
    whole = pq.read_table(quarantine_store.verified(home, index, "rows"))
    broken = lines.select(["row", "rule"]).to_pandas().drop_duplicates()
    rules = broken.groupby("row")["rule"].agg("; ".join)
    wanted = whole["__row__"].to_pandas().map(rules)
    whole = whole.append_column("__rules__", pa.array(wanted, pa.string(), from_pandas=True))
    return whole.filter(pa.array(wanted.notna().to_numpy()))


def _met(lines: pa.Table, rule: str, index: Mapping[str, Any]) -> pa.Table:
    import pyarrow as pa

    frame = lines.select(["rule", "column"]).to_pandas()
    pairs = frame.drop_duplicates().itertuples(index=False, name=None)
    met = {
        (known, column)
        for known, column in pairs
        if meets(rule, known, column if isinstance(column, str) else None)
    }
    rules = {known for known, _ in met}
    if not met:
        known = ", ".join(shown(name) for name in list(index["rules"])[:10]) or "no rule"
        msg = f"--rule {shown(rule)} meets nothing of run {index['run']}, its rows break {known}"
        raise PenstockError(msg)
    return lines.filter(pa.array(frame["rule"].isin(rules).to_numpy()))


def write(found: pa.Table, out: Path) -> None:
    """Write a table as CSV or Parquet, whole or not at all.

    In CSV a text that a spreadsheet would run as a formula has a ' in front.

    Raises:
        PenstockError: the place cannot be written.

    """
    import pyarrow.parquet as pq
    from pyarrow import csv

    draft = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        if out.suffix == ".csv":
            csv.write_csv(harmless(found)[0], draft)
        else:
            pq.write_table(found, draft, compression="zstd", write_page_checksum=True)
        draft.replace(out)
    except OSError as error:
        msg = f"{out} must be writable: {error}"
        raise PenstockError(msg) from None
    finally:
        draft.unlink(missing_ok=True)
