"""SOURCES: how each kind of part is read, and what its digest is.

- A source is one function, `(part, data) -> Read`; `SOURCES` is the whole list.
- A file is taken into memory once: what is parsed is what was hashed, and a file that changes
  meanwhile is refused.
- A user's function is loaded by path; an error in it names its own file and line.
"""

from __future__ import annotations

import hashlib
import importlib.util
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from expectations.failure import shown
from flows import columnar, delimited
from flows.errors import PenstockError
from flows.file_kind import GZIP
from flows.parts import Part, refuse
from flows.transient import is_transient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from flows.data_spec import DataSpec

BUILT_IN = ("breast_cancer", "diabetes", "digits", "iris", "wine")


@dataclass(frozen=True, kw_only=True)
class Read:
    """A part that was read."""

    piece: delimited.Piece
    digest: str
    """SHA-256 of the file's bytes, or of what stands for it."""
    size: int | None = None
    """Bytes of the file."""


class Source(Protocol):
    """Reads one kind of part."""

    def __call__(self, part: Part, data: DataSpec, /) -> Read:
        """Return the part's table with the digest of its full content."""
        ...


def _text(part: Part, data: DataSpec) -> Read:
    content, digest = _content(part)
    packed = content.startswith(GZIP)
    text = delimited.unpacked(content, part.name) if packed else content
    piece = delimited.read_text(text, data, part.name, lenient=True)
    return Read(piece=piece, digest=digest, size=len(content))


def _parquet(part: Part, data: DataSpec) -> Read:
    del data
    content, digest = _content(part)
    piece = columnar.read_columns(content, part.name)
    return Read(piece=piece, digest=digest, size=len(content))


def _jsonl(part: Part, data: DataSpec) -> Read:
    del data
    from flows.source_jsonl import JsonLines

    digest = digest_of(part)
    piece = JsonLines(_path(part), part.name).piece()
    if digest_of(part) != digest:
        message = f"{part.name} changed while it was read"
        raise refuse("source.changed", message, "run again when the writer is done")
    return Read(piece=piece, digest=digest, size=_path(part).stat().st_size)


def _excel(part: Part, data: DataSpec) -> Read:
    from flows.source_excel import read_workbook

    content, digest = _content(part)
    return Read(piece=read_workbook(content, data, part.name), digest=digest, size=len(content))


def _feed(part: Part, data: DataSpec) -> Read:
    del data
    from flows.source_feed import read_feed

    content, digest = _content(part)
    return Read(piece=read_feed(content, part.name), digest=digest, size=len(content))


def _unreadable(part: Part, data: DataSpec) -> Read:
    del data
    if part.refusal is None:
        raise ValueError(f"{part.name} is not known to be unreadable")
    raise part.refusal


def _content(part: Part) -> tuple[bytes, str]:
    """Return a file's bytes and their digest; refuse a file that changes meanwhile."""
    path = _path(part)
    before = path.stat()
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    after = path.stat()
    if _state(before) != _state(after) or len(content) != after.st_size:
        message = (
            f"{path} changed while it was read ({before.st_size:,} bytes, then {after.st_size:,})"
        )
        raise refuse("source.changed", message, "run again when the writer is done")
    return content, digest


def _state(facts: Any) -> tuple[int, int, int]:
    return facts.st_size, facts.st_mtime_ns, facts.st_ino


def _path(part: Part) -> Path:
    if part.path is None:
        raise ValueError(f"{part.name} is no file")
    return part.path


def _sklearn(part: Part, data: DataSpec) -> Read:
    del data
    import pyarrow as pa
    from sklearn import datasets

    name = part.name.removeprefix("sklearn:")
    if name not in BUILT_IN:
        message = (
            f"{part.key} must be sklearn: with one of {', '.join(BUILT_IN)}, found {shown(name)}"
        )
        raise refuse("source.missing", message, "choose one of these, or give a file")
    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame = bunch.frame
    labels = getattr(bunch, "target_names", None)
    if labels is not None and len(labels) and not isinstance(labels[0], int | float):
        frame = frame.assign(target=[_label(labels[i]) for i in frame["target"]])
    table = pa.Table.from_pandas(frame, preserve_index=False)
    piece = columnar.from_arrow(table.replace_schema_metadata(None), part.name)
    return Read(piece=piece, digest=digest_of(part))


def _label(label: Any) -> Any:
    return label.item() if hasattr(label, "item") else label


def _function(part: Part, data: DataSpec) -> Read:
    del data
    import pyarrow as pa

    digest = digest_of(part)
    frame = _call(part, digest)
    _check_frame(frame, part)
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        message = f"{part.name}: a column holds cells of different kinds: {shown(str(error), 300)}"
        raise refuse("source.function", message, "give every column one type") from None
    piece = columnar.from_arrow(table.replace_schema_metadata(None), part.name)
    return Read(piece=piece, digest=digest)


def _call(part: Part, digest: str) -> Any:
    path = _path(part)
    spec = importlib.util.spec_from_file_location(f"penstock_user_{digest[:12]}", path)
    if spec is None or spec.loader is None:
        raise refuse("source.function", f"{path} cannot be loaded as Python", "give a .py file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        function = getattr(module, part.function, None)
        if callable(function):
            return function()
    except PenstockError:
        raise
    except Exception as error:
        away = is_transient(error)
        advice = "see whether its source is there" if away else "correct the function"
        raise refuse("source.function", _blame(error, path), advice) from error
    known = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
    message = (
        f"{part.key}: {path} must define {part.function}(), it has {', '.join(known) or 'none'}"
    )
    raise refuse("source.function", message, "name one of its functions")


def _blame(error: Exception, path: Path) -> str:
    """Say where in the user's file an error arose."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if f.filename == str(path)]
    line = ours[-1].lineno if ours else getattr(error, "lineno", None)
    return f"{path}:{line}: {type(error).__name__}: {shown(str(error), 300)}"


def _check_frame(frame: pd.DataFrame | Any, part: Part) -> None:
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        message = f"{part.name} must return a pandas DataFrame, found {type(frame).__name__}"
        raise refuse("source.function", message, "return a DataFrame")
    odd = [c for c in frame.columns if not isinstance(c, str)]
    if odd:
        message = f"{part.name} must return columns named by text, found {shown(repr(odd[0]))}"
        raise refuse("source.function", message, "rename the columns")


SOURCES: Mapping[str, Source] = {
    "text": _text,
    "parquet": _parquet,
    "jsonl": _jsonl,
    "excel": _excel,
    "feed": _feed,
    "sklearn": _sklearn,
    "function": _function,
    "unreadable": _unreadable,
}
"""How each kind of part is read."""


def digest_of(part: Part) -> str:
    """Return the digest of a part's full content, streaming, without parsing it."""
    if part.kind == "sklearn":
        import importlib.metadata

        text = f"{part.name} {importlib.metadata.version('scikit-learn')}"
        return hashlib.sha256(text.encode()).hexdigest()
    with _path(part).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
