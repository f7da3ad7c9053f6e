"""Which of today's rows a registered version was made from: its ledger beside today's table.

- Who a row is, is worked out under the version's own recorded scheme: feature cells are typed by
  the version's schema, so that a contract or an option that changed since makes no row another.
- All rows of the source take part, those set aside by the contract too.
- A group that the version trained on is known to it as a whole; where the split was by time, a row
  is its identity at its moment, as the same customer may well come again.
- How many of the version's rows are found again tells whether identities mean today what they did.
  With a time column those are asked for that lie within today's span.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.failure import shown
from flows.errors import Doubt
from flows.identity import ALGORITHM, from_hexadecimal, identities, mix, text_hashes
from flows.stage import digest_of
from flows.timeline import known_ticks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from flows.book import Book

FITTED = ("train", "validation")


@dataclass(frozen=True, kw_only=True)
class Today:
    """The table of this run, as text or as the source typed it."""

    raw: pd.DataFrame
    """All rows (N)."""
    schema: Mapping[str, Any]
    """The reading schema of this run, with `role_columns`."""
    kept: dict[str, Any] = field(default_factory=dict)
    """Columns typed so far: champion and anchor mostly type them alike."""

    def typed(self, entries: Sequence[Mapping[str, Any]], missing: Sequence[str]) -> pd.DataFrame:
        """Type the columns of some schema entries, all of which must be there."""
        import pandas as pd

        from models.served import read

        if gone := [entry["name"] for entry in entries if entry["name"] not in self.raw]:
            listed = ", ".join(map(shown, gone[:5]))
            raise Doubt(f"its rows are known by {listed}, which the table no longer has")
        keys = {digest_of([entry, list(missing)]): entry for entry in entries}
        fresh = [entry for key, entry in keys.items() if key not in self.kept]
        found = read(self.raw, {"missing": missing, "columns": fresh})[0]
        self.kept.update({k: found[e["name"]] for k, e in keys.items() if k not in self.kept})
        return pd.DataFrame({entry["name"]: self.kept[key] for key, entry in keys.items()})

    def roles(self, names: Sequence[str], **options: Any) -> pd.DataFrame:
        """Type columns that are no features: as their role says, else as text."""
        roles = {entry["name"]: entry for entry in self.schema.get("role_columns", ())}
        entries = [{**roles.get(n, {"name": n, "kind": "text"}), **options} for n in names]
        return self.typed(entries, self.schema.get("missing", ()))


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a version knows of today's rows (N)."""

    trained: NDArray[np.bool_]
    validated: NDArray[np.bool_]
    """On its validation side, and not on its train side."""
    unit: NDArray[np.uint64]
    """Its group, else its identity, under the version's scheme."""
    matched: float | None
    """Share of the version's rows found again; None where none of them should still be there."""
    expected: int

    @property
    def known(self) -> NDArray[np.bool_]:
        """Rows that the version was trained, validated or tuned on."""
        return self.trained | self.validated


def seen(book: Book, today: Today) -> Seen:
    """Find a version's rows among today's.

    Raises:
        Doubt: the identities cannot be worked out, because a column or the algorithm is gone.

    """
    then, now = _then(book), _identity(book, today)
    unit, moments = now, _moments(book, today)
    expected = np.ones(len(then), bool) if moments is None else _within(*moments)
    if moments is not None and book.by_time:
        then, now = (_at(*each) for each in zip((then, now), moments, strict=True))
    keys = [(then, now)]
    if book.scheme.get("group") and "group" in book.rows:
        unit = _groups(book, today)
        if not book.by_time:
            keys.append((from_hexadecimal(book.rows["group"].tolist()), unit))
    matched = [float(np.isin(a[expected], b).mean()) for a, b in keys] if expected.any() else []
    trained, validated = (_on(book, side, keys) for side in FITTED)
    return Seen(
        trained=trained,
        validated=validated & ~trained,
        unit=unit,
        matched=min(matched, default=None),
        expected=int(expected.sum()),
    )


def _on(
    book: Book, side: str, keys: Sequence[tuple[NDArray[np.uint64], NDArray[np.uint64]]]
) -> NDArray[np.bool_]:
    """Today's rows that share an identity or a group with a row of one of the version's sides."""
    there = book.rows["side"].to_numpy(object) == side
    return np.logical_or.reduce([np.isin(now, then[there]) for then, now in keys])


def _then(book: Book) -> NDArray[np.uint64]:
    if (found := book.scheme.get("algorithm")) != ALGORITHM:
        raise Doubt(
            f"its rows are known by {found}, of which this version of Penstock knows nothing"
        )
    return from_hexadecimal(book.rows["identity"].tolist())


def _identity(book: Book, today: Today) -> NDArray[np.uint64]:
    """Each row's identity today, under the version's scheme."""
    if ids := book.scheme.get("id"):
        return identities(today.roles(ids, kind="text"), ids, as_text=True)
    names = book.scheme["columns"]
    own = [entry for entry in book.schema["columns"] if entry["name"] in names]
    features = {entry["name"] for entry in own}
    typed = today.typed(own, book.schema.get("missing", ()))
    if others := [name for name in names if name not in features]:  # a role took them since
        typed = typed.join(today.roles(others))
    return identities(typed, names, as_text=False)


def _groups(book: Book, today: Today) -> NDArray[np.uint64]:
    name = book.scheme["group"]
    return text_hashes(today.roles([name], kind="text").loc[:, name])


def _moments(book: Book, today: Today) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """The times of the ledger and of today, where both are of one column and kind; else None."""
    told = book.facts.get("time") or {}
    name = str(told.get("column"))
    roles = [entry["name"] for entry in today.schema.get("role_columns", ())]
    if "time" not in book.rows or name not in roles or name not in today.raw:
        return None
    ticks, dates = known_ticks(today.roles([name]).loc[:, name])
    same = dates == told.get("dates") and not np.isnan(ticks).all()
    return (book.rows["time"].to_numpy(np.float64), ticks) if same else None


def _within(was: NDArray[np.float64], now: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the times `was` lie in the span of `now`; unknown ones do."""
    return ~((was < np.nanmin(now)) | (was > np.nanmax(now)))


def _at(identity: NDArray[np.uint64], moments: NDArray[np.float64]) -> NDArray[np.uint64]:
    """An identity at its moment."""
    return mix(identity ^ mix(np.where(moments == 0, 0.0, moments).view(np.uint64)))
