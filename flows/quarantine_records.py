"""Records of another width than their header: counted, kept as they stand, and judged again.

- They are no rows of the table: no position in it, no cells; what is kept is part, record number
  (from 1), rule (`record.long`, `record.short`) and text.
- They count as rows that are set aside: against `data.max_fraction`, together and by rule.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flows.errors import DataRefused
from flows.quarantine import RECORDS
from flows.quarantine_limits import ROUNDING, total_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy as np
    import pyarrow as pa

    from expectations.failure import Failure
    from flows.data_spec import DataSpec
    from flows.records import Aside

FILE = "aside.parquet"
"""Beside the raw table, where there are any."""


def kept(
    found: Iterable[tuple[str, Aside]],
    rows: int,
    data: DataSpec,
    out: Path,
    *,
    share: float = 1.0,
) -> dict[str, Any]:
    """Write what was set aside of some parts; return what `load.json` says of it, {} for nothing.

    Args:
        found: the parts by name.
        rows: of all parts, without these records.
        data: the settings, for `max_fraction`.
        out: the folder of the raw table.
        share: of the rows that the table holds; it holds as many of these records.

    Raises:
        DataRefused: they are more than may be set aside.

    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = [(name, aside) for name, aside in found if aside.numbers]
    count = sum(len(aside.numbers) for _, aside in parts)
    if not count:
        return {}
    failures = [failure for _, aside in parts for failure in aside.failures]
    if count > (total_of(data.max_fraction) + ROUNDING) * (rows + count):
        raise _refusal(parts)
    if share < 1:
        parts = [(name, _thinned(aside, share)) for name, aside in parts]
        count = sum(len(aside.numbers) for _, aside in parts)
        if not count:
            return {}
    table = pa.table(
        {
            "source": pa.array([name for name, aside in parts for _ in aside.numbers], pa.string()),
            "record": pa.array([n for _, aside in parts for n in aside.numbers], pa.int64()),
            "rule": pa.array([rule for _, aside in parts for rule in aside.rules], pa.string()),
            "value": pa.array([text for _, aside in parts for text in aside.texts], pa.string()),
        }
    )
    pq.write_table(table, out / FILE, compression="zstd", write_page_checksum=True)
    widths = {name: aside.width for name, aside in parts}
    return {"records": count, "widths": widths, "failures": [f.to_json() for f in failures]}


def _thinned(aside: Aside, share: float) -> Aside:
    """Return that share of the records, evenly from first to last."""
    at = [int(place / share) for place in range(int(len(aside.numbers) * share))]
    some = {n: tuple(getattr(aside, n)[i] for i in at) for n in ("numbers", "rules", "texts")}
    return replace(aside, **some)


def _refusal(parts: list[tuple[str, Aside]]) -> DataRefused:
    """Return the refusal that each of the parts would have been."""
    from flows.delimited import unreadable

    refused = [unreadable(list(aside.failures), name) for name, aside in parts]
    failures = [failure for each in refused for failure in each.failures]
    return DataRefused("\n".join(map(str, refused)), failures)


@dataclass(frozen=True, kw_only=True)
class Records:
    """The records that were set aside of a raw table's source."""

    table: pa.Table | None = None
    """Source, record, rule and value (the text) of each; None where there are none."""
    failures: list[Failure] = field(default_factory=list)

    @classmethod
    def beside(cls, table_path: Path) -> Records:
        """Return those beside a raw table."""
        import pyarrow.parquet as pq

        from expectations.failure import Failure
        from flows.json_files import read_json

        path = table_path.with_name(FILE)
        if not path.is_file():
            return cls()
        said = read_json(table_path.with_name("load.json"))["aside"]["failures"]
        found = pq.read_table(path, page_checksum_verification=True)
        return cls(table=found, failures=[Failure.from_json(each) for each in said])

    @property
    def count(self) -> int:
        """How many there are."""
        return 0 if self.table is None else self.table.num_rows

    @property
    def counts(self) -> dict[str, int]:
        """How many break each rule."""
        return {rule: len(places) for rule, places in by_rule(self.table, 0).items()}


def by_rule(found: pa.Table | None, start: int) -> dict[str, np.ndarray]:
    """Return the records by rule, as positions from `start` on: after the rows of the table."""
    import numpy as np

    if found is None:
        return {}
    rules = np.array(found["rule"].to_pylist())
    return {
        rule: start + np.flatnonzero(rules == rule) for rule in RECORDS if (rules == rule).any()
    }


def fitting(
    sources: Iterable[str], texts: Iterable[str], widths: Mapping[str, int], data: DataSpec
) -> np.ndarray:
    """Return which of the kept records (n,) have as many fields as their header, by today's settings."""
    import numpy as np

    from flows.delimited import dialect

    fits = []
    for source, text in zip(sources, texts, strict=True):
        found = [one for one in csv.reader(io.StringIO(text, newline=""), **dialect(data)) if one]
        fits.append(len(found) == 1 and len(found[0]) == widths.get(source))
    return np.array(fits, dtype=bool)
