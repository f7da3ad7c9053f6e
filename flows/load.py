"""Source -> table: raw cells, provenance and a digest over the full content.

- Text is read as text: what a cell means is decided by the contract, in one place, not here.
- Three columns of ours go along: `__source__` (the part), `__record__` (from 1, within the part)
  and `__given__` (whether the row comes from `split.test_source`).
"""

from __future__ import annotations

import difflib
import hashlib
import json
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from expectations.failure import Failure, describe, shown
from flows.errors import DataRefused
from flows.growth import grown
from flows.memory import refuse_too_large
from flows.parts import Part, find_parts, refuse
from flows.sources import digest_of
from flows.union import Loaded, columns_of, read_source

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from flows.spec import Spec


def load(spec: Spec, out: Path, *, expected: dict[str, Any] | None = None) -> dict[str, Any]:
    """Read the settings' source and given test file into `out`; return the facts.

    Writes `table.parquet` and `load.json`. `expected` is an earlier `source_digest(spec)`; content
    that differs from it changed in between and is refused.

    Raises:
        DataRefused: a source cannot be read, or its columns are not what the settings name.

    """
    import pandas as pd

    from flows.tables import write_parquet

    refuse_too_large([part for part, _ in _parts(spec)], spec.data)
    train = read_source(spec.data.source, spec.data, spec.folder)
    sides = [(train, False)]
    if spec.split.test_source:
        key = "split.test_source"
        test = read_source(spec.split.test_source, spec.data, spec.folder, key=key)
        sides.append((_like(test, train, key), True))
    if failures := named_columns(spec, columns_of(train.frame)):
        raise DataRefused(
            f"the columns named in the settings must exist:\n{describe(failures)}", failures
        )
    frames = [side.frame.assign(__given__=given) for side, given in sides]
    frame = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    facts = _facts(spec, frame, sides)
    _unchanged(facts, expected)
    write_parquet(frame, out / "table.parquet")
    text = json.dumps(facts, ensure_ascii=False, indent=1)
    (out / "load.json").write_text(text, encoding="utf-8")
    growth = grown(spec, train.parts, train.kept)
    said = {"say": growth["say"]} if growth["say"] else {}
    return {**facts, "notes": [*facts["notes"], *growth["notes"]], **said}


def source_digest(spec: Spec) -> dict[str, Any]:
    """Return what identifies the content of the settings' sources, without parsing them.

    `digest` covers every part's bytes, names and order; `volatile` says that the content is made
    by a user's function, which may return something else tomorrow.

    Raises:
        DataRefused: a source is not there or is no table.

    """
    found = [{"name": p.name, "given": g, "sha256": digest_of(p)} for p, g in _parts(spec)]
    volatile = any(part.kind == "function" for part, _ in _parts(spec))
    return {"digest": _digest(found), "volatile": volatile, "parts": found}


def _parts(spec: Spec) -> list[tuple[Part, bool]]:
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


def _like(test: Loaded, train: Loaded, key: str) -> Loaded:
    """Return the given test rows with the columns in the order of the train rows."""
    names = columns_of(train.frame)
    piece_names = columns_of(test.frame)
    missing = [n for n in names if n not in piece_names]
    extra = [n for n in piece_names if n not in names]
    if missing or extra:
        said = f"lacks {', '.join(map(shown, missing[:5]))}" if missing else ""
        said += " and " if missing and extra else ""
        said += f"adds {', '.join(map(shown, extra[:5]))}" if extra else ""
        advice = (
            "give both files the same columns; a file without the target is for `penstock score`"
        )
        raise refuse("parts.columns", f"{key} {said}, compared with data.source", advice)
    frame: Any = test.frame[[*names, "__source__", "__record__"]]
    return replace(test, frame=frame)


def named_columns(spec: Spec, columns: list[str]) -> list[Failure]:
    """Return a failure for every column that the settings name and the table lacks."""
    data = spec.data
    named = [("data.target", data.target), *(("data.id", n) for n in data.id)]
    named += [(f"data.{r}", n) for r in ("group", "time", "weight") if (n := getattr(data, r))]
    named += [("data.drop", n) for n in data.drop] + [("data.columns", n) for n in data.columns]
    named += [("data.keep", n) for n in data.keep]
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


def _facts(spec: Spec, frame: pd.DataFrame, sides: list[tuple[Loaded, bool]]) -> dict[str, Any]:
    parts = [{**part, "given": given} for side, given in sides for part in side.parts]
    bad = [{**part, "given": given} for side, given in sides for part in side.bad]
    found = {(part["name"], part["given"]): part for part in (*parts, *bad)}
    in_order = [found[name, given] for side, given in sides for name in side.names]
    return {
        "rows": len(frame),
        "given_rows": sum(len(side.frame) for side, given in sides if given),
        "columns": columns_of(frame),
        "text": all(side.text for side, _ in sides),
        "digest": _digest(in_order),
        "table_digest": table_digest(frame),
        "volatile": any(part["kind"] == "function" for part in parts),
        "target": spec.data.target,
        "parts": parts,
        "bad_parts": bad,
        "renamed": {old: new for side, _ in sides for old, new in side.renamed.items()},
        "notes": [note for side, _ in sides for note in side.notes],
    }


def table_digest(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of a table's columns, types and cells, whatever the file layout."""
    import pyarrow as pa

    class Sink:
        def __init__(self) -> None:
            self.sha, self.closed = hashlib.sha256(), False

        def write(self, content: Any) -> int:
            self.sha.update(content)
            return len(content)

        def flush(self) -> None:
            pass

        def close(self) -> None:
            self.closed = True

    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    table = table.combine_chunks()
    sink = Sink()
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), table.schema) as writer:
        writer.write_table(table)
    return sink.sha.hexdigest()


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
