"""Whether a run would refuse a large table, told from the rows that `init` looked at.

- The contract is proposed from the profile and judged on the rows that were drawn, as a run's is on
  all: those that were chosen for being odd would count too much. Nothing of it is kept; the run
  proposes the contract from all rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.json_files import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flows.glance import Glance
    from flows.spec import Spec


def rehearsed(
    spec: Spec, glance: Glance, profile: Mapping[str, Any], table: Path, place: Path
) -> dict[str, Any]:
    """Return what `validation.json` says of the rows that were drawn.

    Args:
        spec: the proposed settings.
        glance: what was seen of the source.
        profile: of the rows that were looked at.
        table: those rows.
        place: a folder that is thrown away.

    Raises:
        DataRefused: a run would refuse the table.

    """
    from expectations.contract import Contract
    from flows.agree import agree
    from flows.engineer import engineer
    from flows.validate import validate

    rows = place / "drawn.parquet"
    _write_drawn(table, glance, rows)
    agree(spec, profile, place)
    schema = read_json(place / "schema.json")
    engineer(spec, schema, rows, place)
    contract = Contract.load(place / "contract.toml")
    typed, untypable = place / "typed.parquet", place / "untypable.parquet"
    return validate(spec, contract, schema, typed, untypable, rows, place)


def _write_drawn(table: Path, glance: Glance, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from flows.tables import Writer

    drawn = pq.read_table(table).filter(pa.array(glance.drawn))
    with Writer(path, drawn.schema) as writer:
        writer.write(drawn)


def in_all(found: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """Return rows and classes of what was rehearsed as many as all `rows` will have, about."""
    times = rows / max(found["rows"], 1)
    classes = {label: round(count * times) for label, count in (found["classes"] or {}).items()}
    return {**found, "passed": round(found["passed"] * times), "classes": classes}
