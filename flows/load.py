"""Source -> table: raw cells, provenance and a digest over the full content.

- Text is read as text: what a cell means is decided by the contract, in one place, not here.
- Three columns of ours go along: `__source__` (the part), `__record__` (from 1, within the part)
  and `__given__` (whether the row comes from `split.test_source`).
- Rows go by block by block; no table is whole in memory.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import unicodedata
from typing import TYPE_CHECKING, Any

from expectations.failure import Failure, describe, shown
from flows.errors import DataRefused
from flows.growth import grown
from flows.heads import header_of
from flows.memory import refuse_too_large
from flows.parts import Part, find_parts, refuse
from flows.quarantine_records import kept
from flows.sample import Sample
from flows.sources import digest_of
from flows.table_digest import TableDigest, table_digest
from flows.union import Source, open_source, read_source, schema_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from flows.records import Aside
    from flows.spec import Spec

__all__ = ["load", "named_columns", "read_source", "source_digest", "table_digest"]


def load(spec: Spec, out: Path, *, expected: dict[str, Any] | None = None) -> dict[str, Any]:
    """Read the settings' source and given test file into `out`; return the facts.

    Writes `table.parquet` and `load.json`. `expected` is an earlier `source_digest(spec)`; content
    that differs from it changed in between and is refused.

    Raises:
        DataRefused: a source cannot be read, or its columns are not what the settings name.

    """
    refuse_too_large([part for part, _ in parts_of(spec)], spec.data)
    sides = sides_of(spec)
    if failures := named_columns(spec, sides[0][0].columns):
        absent = [f.column for f in failures if f.rule == "columns.missing" and f.column]
        first = sides[0][0].streams[0].part
        elsewhere = header_of(first, spec.data, absent) if absent else ""
        text = f"the columns named in the settings must exist:\n{describe(failures)}{elsewhere}"
        raise DataRefused(text, failures)
    while True:
        facts = _written(spec, sides, out)
        if not any(side.late for side, _ in sides):
            break
        sides = [(side.mended() if side.late else side, given) for side, given in sides]
    _unchanged(facts, expected)
    aside, read = aside_of(sides)
    drawn = facts.get("sample")
    share = drawn["rows"] / max(drawn["of"], 1) if drawn else 1.0
    facts["aside"] = kept(aside, read, spec.data, out, share=share)
    if share < 1 and aside:
        count = sum(len(each.numbers) for _, each in aside)
        facts["notes"].append(
            f"{count:,} records have another number of fields than their header; as the table is a "
            f"sample, {facts['aside'].get('records', 0):,} of them count"
        )
    text = json.dumps(facts, ensure_ascii=False, indent=1)
    (out / "load.json").write_text(text, encoding="utf-8")
    growth = grown(spec, sides[0][0].facts(), sides[0][0].kept)
    said = {"say": growth["say"]} if growth["say"] else {}
    return {**facts, "notes": [*facts["notes"], *growth["notes"]], **said}


def aside_of(sides: list[tuple[Source, bool]]) -> tuple[list[tuple[str, Aside]], int]:
    """Return the records of another width by part, and how many rows were read without them."""
    streams = [stream for side, _ in sides for stream in side.streams]
    found = [(stream.part.name, stream.aside) for stream in streams if stream.aside]
    return found, sum(stream.read for stream in streams)


def sides_of(spec: Spec) -> list[tuple[Source, bool]]:
    """Open what is learned from, and the given test file where there is one."""
    train = open_source(spec.data.source, spec.data, spec.folder)
    if not spec.split.test_source:
        return [(train, False)]
    key = "split.test_source"
    test = open_source(spec.split.test_source, spec.data, spec.folder, key=key)
    _same_columns(test, train, key)
    return [(train, False), (test, True)]


def _written(spec: Spec, sides: list[tuple[Source, bool]], out: Path) -> dict[str, Any]:
    """Write all rows of both sides to table.parquet; return what load.json holds."""
    import pyarrow as pa

    from flows.tables import Writer

    names = _read_columns(spec, sides[0][0].columns)
    schema = schema_of([side for side, _ in sides], names)
    whole = [*schema, ("__source__", pa.string()), ("__record__", pa.int64())]
    whole = pa.schema([*whole, ("__given__", pa.bool_())])
    found, given_rows = TableDigest(whole), 0
    sample = Sample(spec.data.sample, spec.data.id, out / "sample") if spec.data.sample else None
    with Writer(out / "table.parquet", whole) as writer:
        for side, given in sides:
            tables = side.tables(schema, names)
            if sample and not given:
                tables = sample.of(tables, schema.names)
            for table in marked(tables, given):
                given_rows += given * table.num_rows
                found.add(table)
                writer.write(table)
    facts = _facts(spec, sides, found.hexdigest(), schema.names)
    facts |= {"rows": writer.rows, "given_rows": given_rows}
    if sample:
        facts["sample"] = {"rows": sample.kept, "of": sample.seen}
        facts["notes"] += _said_sample(sample)
    return facts


def marked(tables: Iterator[pa.Table], given: bool) -> Iterator[pa.Table]:
    """Yield tables whose rows say whether they are given test rows."""
    import numpy as np
    import pyarrow as pa

    for table in tables:
        yield table.append_column("__given__", pa.array(np.full(table.num_rows, given)))


def _said_sample(sample: Sample) -> list[str]:
    if sample.kept == sample.seen:
        return []
    share = sample.kept / sample.seen
    return [
        f"a sample of {sample.kept:,} of {sample.seen:,} rows ({share:.1%}) is used (data.sample)"
    ]


def _read_columns(spec: Spec, columns: list[str]) -> set[str] | None:
    """Return the columns that `data.only` wants, with those that have a role; None: all."""
    data = spec.data
    if not data.only:
        return None
    used = {name for formula in data.formulas for name in formula.uses}
    roles = {data.target, *data.id, data.group, data.time, data.weight}
    return {name for name in columns if name in {*data.only, *used, *roles}}


def source_digest(spec: Spec) -> dict[str, Any]:
    """Return what identifies the content of the settings' sources, without parsing them.

    `digest` covers every part's bytes, names and order; `volatile` says that the content is made
    by a user's function, which may return something else tomorrow.

    Raises:
        DataRefused: a source is not there or is no table.

    """
    found = [{"name": p.name, "given": g, "sha256": digest_of(p)} for p, g in parts_of(spec)]
    volatile = any(part.kind == "function" for part, _ in parts_of(spec))
    return {"digest": _digest(found), "volatile": volatile, "parts": found}


def parts_of(spec: Spec) -> list[tuple[Part, bool]]:
    """Return the parts of the source and of the given test file, and whether they are of that."""
    data, folder = spec.data, spec.folder
    options: Any = {"outside": data.outside, "lenient": True, "data": data}
    parts = [(p, False) for p in find_parts(data.source, folder=folder, **options)]
    if spec.split.test_source:
        key = "split.test_source"
        found = find_parts(spec.split.test_source, folder=folder, key=key, **options)
        parts += [(p, True) for p in found]
    return parts


def _digest(parts: Sequence[dict[str, Any]]) -> str:
    text = json.dumps([[p["name"], p["given"], p["sha256"]] for p in parts])
    return hashlib.sha256(text.encode()).hexdigest()


def _same_columns(test: Source, train: Source, key: str) -> None:
    """Refuse given test rows with other columns than the train rows have."""
    missing = [n for n in train.columns if n not in test.columns]
    extra = [n for n in test.columns if n not in train.columns]
    if missing or extra:
        said = f"lacks {', '.join(map(shown, missing[:5]))}" if missing else ""
        said += " and " if missing and extra else ""
        said += f"adds {', '.join(map(shown, extra[:5]))}" if extra else ""
        advice = (
            "give both files the same columns; a file without the target is for `penstock score`"
        )
        raise refuse("parts.columns", f"{key} {said}, compared with data.source", advice)


def named_columns(spec: Spec, columns: list[str]) -> list[Failure]:
    """Return a failure for every column that the settings name and the table lacks."""
    data = spec.data
    named = [("data.target", data.target), *(("data.id", n) for n in data.id)]
    named += [(f"data.{r}", n) for r in ("group", "time", "weight") if (n := getattr(data, r))]
    named += [("data.drop", n) for n in data.drop] + [("data.columns", n) for n in data.columns]
    named += [("data.keep", n) for n in data.keep] + [("data.only", n) for n in data.only]
    known = [*columns, *data.derive]
    used = [(f"data.derive.{f.name}", n) for f in data.formulas for n in f.uses]
    taken = [_taken(name, len(columns)) for name in data.derive if name in columns]
    return taken + [_absent(key, n, known) for key, n in [*named, *used] if n not in known]


def _taken(name: str, total: int) -> Failure:
    return Failure(
        rule="columns.derived", column=name, count=1, total=total,
        message=f"data.derive makes {shown(name)}, which the table has already",
        advice="give the derived column another name",
    )  # fmt: skip


def _absent(key: str, name: str, columns: list[str]) -> Failure:
    near = difflib.get_close_matches(name, columns, n=1, cutoff=0.5)
    folded = [c for c in columns if c.casefold() == name.strip().casefold()]
    same = [c for c in columns if c == unicodedata.normalize("NFC", name)]
    hint = next(iter(same or folded or near), None)
    known = ", ".join(shown(c) for c in columns[:10]) + (", ..." if len(columns) > 10 else "")
    return Failure(
        rule="columns.missing",
        column=name,
        count=1,
        total=len(columns),
        message=f"{key} names {shown(name)}, the table has {known}",
        advice=f"did you mean {shown(hint)}?" if hint else "correct the settings",
    )


def _facts(
    spec: Spec, sides: list[tuple[Source, bool]], digest: str, columns: list[str]
) -> dict[str, Any]:
    parts = [{**part, "given": given} for side, given in sides for part in side.facts()]
    bad = [{**part, "given": given} for side, given in sides for part in side.bad]
    found = {(part["name"], part["given"]): part for part in (*parts, *bad)}
    in_order = [
        found[p.name, given]
        for side, given in sides
        for p in side.found
        if (p.name, given) in found
    ]
    return {
        "rows": 0,
        "given_rows": 0,
        "columns": columns,
        "text": all(side.text for side, _ in sides),
        "digest": _digest(in_order),
        "table_digest": digest,
        "volatile": any(part["kind"] == "function" for part in parts),
        "target": spec.data.target,
        "parts": parts,
        "bad_parts": bad,
        "renamed": {old: new for side, _ in sides for old, new in side.renamed().items()},
        "notes": [note for side, _ in sides for note in side.notes()],
    }


def _unchanged(facts: dict[str, Any], expected: dict[str, Any] | None) -> None:
    if expected and expected["digest"] != facts["digest"]:
        before = {(p["name"], p["given"]): p["sha256"] for p in expected["parts"]}
        changed = [
            p["name"]
            for p in (*facts["parts"], *facts["bad_parts"])
            if before.get((p["name"], p["given"])) != p["sha256"]
        ]
        names = ", ".join(map(shown, changed[:5])) or "the list of parts"
        message = f"the source changed since this run began: {names}"
        raise refuse("source.changed", message, "run again when the writer is done")
