"""`penstock init`: settings proposed from the data, with what was decided and why.

- Guessing happens here, once, in front of a person; a run never guesses.
- The file is sniffed, read strictly with what was found, and profiled by the stage that every run
  uses; roles, labels and rare classes are decided from the profile.
- What needs judgement (an ambiguous date, a column that knows the target) is said, not decided.
"""

from __future__ import annotations

import glob
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.failure import shown
from flows import marks, missing, roles
from flows.data_spec import ColumnSpec, DataSpec
from flows.errors import SettingsError
from flows.parts import find_parts
from flows.propose_lines import writing_of
from flows.propose_rows import Rows, rows_of, too_large
from flows.propose_source import Asked, mapped, without_answers
from flows.settings_text import Draft
from flows.sniff import Writing, sniff
from flows.union import open_source
from flows.units import units

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flows.glance import Glance


SWEEP = {"trials": 32, "budget": "10m"}


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What `init` writes and says."""

    stem: str
    """File name of the settings without `.toml`."""
    settings_text: str
    decisions: list[str] = field(default_factory=list)
    """One sentence per decision, with its reason."""
    warnings: list[str] = field(default_factory=list)
    glance: Glance | None = None
    """What was seen of a large source; None: all of it."""
    profile: Mapping[str, Any] = field(default_factory=dict)
    """Of the rows that were looked at, by the settings that are proposed."""


def propose(
    source: str,
    target: str | None,
    *,
    folder: Path,
    test: str | None = None,
    names: list[str] | None = None,
    id: list[str] | None = None,  # noqa: A002 - the settings' own word
    name: str | None = None,
    asked: Asked | None = None,
    place: Path | None = None,
) -> Proposal:
    """Return settings for `source` that can be run as they are.

    Args:
        source: a file, glob or folder (relative to `folder`), `sklearn:NAME` or `file.py:function`.
        target: the column to predict: its name, or its position from 1; None: refused with a list.
        folder: where the settings will lie.
        test: a test file of its own; used when it has the target.
        names: the columns of a file without a header.
        id: columns that identify a row.
        name: name of the experiment and the model; left out: from the file's name.
        asked: derived columns, a query, a sheet, lines above the header.
        place: a folder for the rows that are looked at (`propose_rows.NAME`); left out: they are
            thrown away.

    Raises:
        DataRefused: the data cannot be read, or has too few rows of its classes.
        SettingsError: the target or an id is no column of the data.

    """
    if place is None:
        with tempfile.TemporaryDirectory() as thrown_away:
            return propose(
                source, target, folder=folder, test=test, names=names, id=id, name=name,
                asked=asked, place=Path(thrown_away),
            )  # fmt: skip
    entry = written_path(source, folder)
    given = (asked or Asked()).options
    writing = _writing(entry, folder, names, given)
    writing.options |= given
    parts = mapped(entry, folder, writing.options)
    writing.options |= parts.options
    stem = stem_of(source)
    draft = Draft(head={"name": _name(name or stem)}, columns=parts.columns)
    columns = [*_columns(entry, folder, writing, parts.columns), *given.get("derive", {})]
    draft.data = {"source": entry, "target": _column(target, columns, writing, "--target")}
    draft.data |= writing.options
    if id:
        draft.data["id"] = [_column(one, columns, writing, "--id") for one in id]
        draft.why["data.id"] = "given to init"
    draft.why |= {f"data.{key}": why for key, why in writing.why.items()}
    said = [f"{key}: {why}" for key, why in writing.why.items()]
    said += parts.said + without_answers(draft)
    warnings = _names_given(names, writing)
    if test is not None:
        warnings += _given_test(test, draft, folder)
    rows = rows_of(draft, folder, place)
    decided, warned, profile = _decided(draft, rows)
    if rows.glance is not None:
        decided = [*rows.said, *decided]
        warned += too_large(draft, folder)
    draft.sweep = dict(SWEEP)
    draft.why["sweep.trials"] = "settings that are tried before the training; without [sweep]: none"
    draft.why["sweep.budget"] = "the longest that they may take"
    said, warnings = said + decided, warnings + warned
    draft.remarks = warnings
    return Proposal(
        stem=stem, settings_text=draft.text(), decisions=said, warnings=warnings,
        glance=rows.glance, profile=profile,
    )  # fmt: skip


def _decided(draft: Draft, rows: Rows) -> tuple[list[str], list[str], dict[str, Any]]:
    """Settle from the data how cells are read and what columns are; return it, warnings, and a profile."""
    profile, table = rows.profile(draft)
    said = [*roles.one_spelling(draft, profile), *units(draft, profile, table)]
    if said:
        profile, table = rows.profile(draft)
    absent, likely = missing.declare(draft, profile, table)
    written = [*marks.numbers(draft, profile, table), *marks.dates(draft, profile, table)]
    if absent or written:
        profile, table = rows.profile(draft)
    said = [*said, *roles.decide(draft, profile, table), *written, *absent]
    return said, [*likely, *roles.warn(draft, profile, table)], profile


def written_path(source: str, folder: Path) -> str:
    """Return how the settings name a source: relative within their folder, else absolute."""
    if source.startswith(("sklearn:", "sql:", "feed:", "${")) or "://" in source:
        return source
    path, function = source, ""
    if found := re.fullmatch(r"(.+\.py):([^\W\d]\w*)", source):
        path, function = found[1], f":{found[2]}"
    absolute = Path(path).expanduser()
    absolute = absolute if absolute.is_absolute() else folder / absolute
    fixed = absolute
    while glob.has_magic(str(fixed)) and not fixed.exists():
        fixed = fixed.parent
    rest = absolute.relative_to(fixed)
    real = fixed.resolve() / rest
    home = folder.resolve()
    return (
        real.relative_to(home).as_posix() if real.is_relative_to(home) else str(real)
    ) + function


def stem_of(source: str) -> str:
    """Return a file name for the settings of a source: `data/credit-*.csv` gives `credit`."""
    if source.startswith("sklearn:"):
        return source.removeprefix("sklearn:")
    found = re.fullmatch(r"(.+\.py):([^\W\d]\w*)", source)
    source = re.sub(r"\{date[^}]*\}|^(sql|feed):|[${}]", "", source)
    last = Path(found[1] if found else source.split("?")[0] if "://" in source else source).name
    plain = re.sub(
        r"(\.(csv|tsv|txt|tab|data|parquet|pq|jsonl|ndjson|xlsx|db|gz|py))+$", "", last,
        flags=re.IGNORECASE,
    )  # fmt: skip
    return re.sub(r"[*?\[\]:]+", "", plain).strip("-_. ") or Path(source).resolve().parent.name


def _name(text: str) -> str:
    clean = re.sub(r"[/:\\\x00-\x1f]+", "-", text).strip().lstrip(".")[:100]
    return clean or "model"


def _writing(entry: str, folder: Path, names: list[str] | None, given: dict[str, Any]) -> Writing:
    data = DataSpec(source=entry, target="-", **given)
    parts = find_parts(entry, folder=folder, data=data)
    return writing_of(parts, data, names=names, skip=given.get("skip_lines"))


def _columns(
    entry: str, folder: Path, writing: Writing, options: dict[str, dict[str, Any]]
) -> list[str]:
    """Return the column names as the load will give them."""
    if writing.options.get("header") is False:
        return list(writing.options["names"])
    columns = {name: ColumnSpec(**keys) for name, keys in options.items()}
    data = DataSpec(source=entry, target="-", **writing.options, columns=columns)
    return open_source(entry, data, folder).columns


def _column(wanted: str | None, columns: list[str], writing: Writing, option: str) -> str:
    """Return the column named by name, or by position from 1."""
    import difflib
    import unicodedata

    plain = unicodedata.normalize("NFC", (wanted or "").strip())
    if plain in columns:
        return plain
    if plain.isdecimal() and 1 <= int(plain) <= len(columns):
        return columns[int(plain) - 1]
    alike = [name for name in columns if name.casefold() == plain.casefold()]
    near = alike or difflib.get_close_matches(plain, columns, n=1, cutoff=0.5)
    hint = f"; did you mean {shown(near[0])}?" if near else ""
    found = "" if wanted is None else f", found {shown(wanted)}{hint}"
    listed = ", ".join(shown(c) for c in columns[:20]) + (", ..." if len(columns) > 20 else "")
    bare = writing.options.get("header") is False
    advice = (
        f"; a position from 1 to {len(columns)} will do, and --names names them" if bare else ""
    )
    why = writing.why.get("header", "")
    headless = f"the file has no header, as {why}; its columns are" if bare else "the columns are"
    what = "the column to predict" if wanted is None else "a column"
    msg = f"{option} must name {what}{found} ({headless} {listed}{advice})"
    raise SettingsError(msg)


def _names_given(names: list[str] | None, writing: Writing) -> list[str]:
    if names is None or not writing.width:
        return []
    if len(names) != writing.width:
        msg = f"--names must give {writing.width} names, one per column, found {len(names)}"
        raise SettingsError(msg)
    return []


def _given_test(test: str, draft: Draft, folder: Path) -> list[str]:
    """Use the test file where it has the target; else say what it is good for."""
    entry = written_path(test, folder)
    options = {k: v for k, v in draft.data.items() if k not in ("source", "target", "id")}
    target = draft.data["target"]
    parts = find_parts(entry, folder=folder, key="--test")
    if parts[0].kind == "text":
        writing = sniff(parts[0], names=options.get("names"), skip=options.get("skip_lines", 0))
        lacks = target not in (writing.header or options.get("names", []))
        if not lacks and options.get("names") and writing.width != len(options["names"]):
            lacks = True
    else:
        data = DataSpec(source=entry, target=target, **options)
        lacks = target not in open_source(entry, data, folder, key="--test").columns
    if lacks:
        named = shown(Path(test).name)
        said = f"{named} has no column {shown(target)}, so it cannot judge the model"
        return [f"{said}; score it when there is one: penstock score"]
    draft.split |= {"by": "given", "test_source": entry}
    draft.why["split.by"] = "the test file was given"
    return []
