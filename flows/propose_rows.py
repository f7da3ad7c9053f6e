"""The rows from which `init` proposes: all of a table, or those that were looked at of a large one.

- They are read once; each new look profiles them by what the settings say by then.
- A text that is refused with quotes and can be read without any is read so: a sign for inches in a
  late line says that quotes are ordinary characters here.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.errors import DataRefused
from flows.glance import Glance, glance, rows_to_look_at
from flows.load import load, parts_of
from flows.memory import refuse_too_large
from flows.propose_source import with_derived
from flows.sniff import PLAIN
from flows.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from flows.settings_text import Draft

NAME = "table.parquet"


@dataclass(kw_only=True)
class Rows:
    """The rows that are looked at, in a file of a folder that is thrown away."""

    path: Path
    """Of the table, as the stage `load` writes it."""
    folder: Path
    """Where the settings will lie."""
    glance: Glance | None = None
    """What was seen of a large source; None: these are all rows."""
    said: tuple[str, ...] = ()
    """How much of the source they are, and how else its text is read than was thought."""

    @cached_property
    def table(self) -> pd.DataFrame:
        """All columns."""
        from flows.tables import read_parquet

        return read_parquet(self.path)

    def profile(self, draft: Draft) -> tuple[dict[str, Any], pd.DataFrame]:
        """Profile the rows as a run would by the settings of `draft`; return them too."""
        from flows.analyze import analyze

        spec = spec_of(draft, self.folder)
        with tempfile.TemporaryDirectory() as place:
            analyze(spec, self.path, Path(place))
            profile = json.loads(Path(place, "profile.json").read_text(encoding="utf-8"))
        table = with_derived(self.table, spec, profile)
        if self.glance is not None:
            self.glance.correct(profile, table)
        return profile, table


def rows_of(draft: Draft, folder: Path, place: Path) -> Rows:
    """Read the rows to be looked at into `place`; say in the draft how much of the source they are.

    Raises:
        DataRefused: the source cannot be read.

    """
    spec = spec_of(draft, folder)
    most = rows_to_look_at(spec)
    if most is None:
        load(spec, place)
        return Rows(path=place / NAME, folder=folder)
    said: tuple[str, ...] = ()
    try:
        seen = glance(spec, most, place / NAME)
    except DataRefused:
        seen, said = _without_quotes(draft, folder, most, place), (f"quote: {PLAIN}",)
        if seen is None:
            raise
    if len(seen.drawn) >= seen.rows:  # there are fewer than the file made believe
        load(spec_of(draft, folder), place)
        return Rows(path=place / NAME, folder=folder, said=said)
    draft.looked_at = seen.said
    said = (f"rows: {seen.said}", *said)
    return Rows(path=place / NAME, folder=folder, glance=seen, said=said)


def too_large(draft: Draft, folder: Path, *, there: int | None = None) -> list[str]:
    """Say that a run would refuse the table because it does not fit in memory; [] where it does.

    `there` is what is free, in bytes; left out: as it is.
    """
    spec = spec_of(draft, folder)
    try:
        refuse_too_large([part for part, _ in parts_of(spec)], spec.data, there=there)
    except DataRefused as refusal:
        return [f"a run would be refused here: {refusal}"]
    return []


def spec_of(draft: Draft, folder: Path) -> Spec:
    """Return the settings of a draft."""
    return Spec.model_validate({**draft.values(), "path": folder / "proposed.toml"})


def _without_quotes(draft: Draft, folder: Path, most: int, place: Path) -> Glance | None:
    """Try to read a text whose quotes are in disorder without any; None where that fails too."""
    if draft.data.get("quote") is not None:
        return None
    draft.data["quote"] = ""
    try:
        seen = glance(spec_of(draft, folder), most, place / NAME)
    except DataRefused:
        del draft.data["quote"]
        return None
    draft.why["data.quote"] = PLAIN
    return seen
