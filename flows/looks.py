"""Looks: how often earlier runs have compared models on the referee rows of this one.

- A comparison leaves a tag on its MLflow run, before anything of it is shown: which model against
  which champion, on which rows (a sketch). Dry runs and runs that were killed later count too, and
  so do runs that somebody has deleted.
- A look counts where at least half of today's units were in it; a mostly new set starts again.
  Rows known under another scheme cannot be told apart, so such a look counts.
- The same model against the same champion again is no other look: it keeps its number.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.mlflow_errors import trouble
from flows.registry import client
from flows.sketch import Sketch
from flows.versions import RUN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from flows.home import Home

TAG = "penstock.look"
"""A second look of the same run, after a lost race, has the tag `penstock.look.2`, and so on."""
SAME = 0.5
"""The share of today's units from which on a look was at the same rows."""
PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class Look:
    """One comparison: which model, against which champion, on which units."""

    run: str
    """Penstock's run id, or MLflow's."""
    key: str
    """The idempotency key of what was judged."""
    champion: str
    """The version that it was compared with."""
    scheme: str
    """Digest of what a unit is known by."""
    number: int
    sketch: Sketch | None
    """None where the tag cannot be read, so that it counts."""

    def to_tag(self) -> str:
        """Return the tag's value."""
        sketch = self.sketch.to_json() if self.sketch else {}
        parts = {"version": 1, "key": self.key, "champion": self.champion, "scheme": self.scheme}
        return json.dumps({**parts, "look": self.number, **sketch})

    def saw(self, scheme: str, units: NDArray[np.uint64]) -> bool:
        """Whether it was at the rows of `units`, as far as can be told."""
        if self.sketch is None or self.scheme != scheme:
            return True
        return self.sketch.overlap(units) >= SAME


@dataclass(frozen=True, kw_only=True)
class Count:
    """The number of a look, and the runs that looked before."""

    number: int
    before: tuple[str, ...]
    again: bool = False
    """Whether this very comparison was made before."""


def looks_of(home: Home, experiment_id: str) -> list[Look]:
    """Return every look of an experiment's runs, the first one first.

    Raises:
        PenstockError: MLflow does not answer.

    """
    try:
        found = sorted(_tagged(home, experiment_id), key=lambda run: run.info.start_time or 0)
    except Exception as error:
        raise trouble(home, error, must="say what was compared before") from error
    return [
        _read(run.data.tags.get(RUN) or run.info.run_id, text)
        for run in found
        for name, text in sorted(run.data.tags.items(), key=_place)
        if name == TAG or name.startswith(f"{TAG}.")
    ]


def count(
    before: Sequence[Look], *, key: str, champion: str, scheme: str, units: NDArray[np.uint64]
) -> Count:
    """Return which look at the rows of `units` a comparison of `key` with `champion` is."""
    for place, look in enumerate(before):
        if look.sketch and (look.key, look.champion, look.scheme) == (key, champion, scheme):
            others = _runs(before[:place], scheme, units)
            return Count(number=look.number, before=others, again=True)
    others = _runs(before, scheme, units)
    return Count(number=1 + len(others), before=others)


def leave(home: Home, run_id: str, look: Look) -> None:
    """Write a look into the MLflow run `run_id`; returns when it is written.

    Raises:
        PenstockError: MLflow does not take it, so nothing may be compared.

    """
    writer = client(home)
    try:
        tags = writer.get_run(run_id).data.tags
        known = [name for name in tags if name == TAG or name.startswith(f"{TAG}.")]
        if any(tags[name] == look.to_tag() for name in known):
            return
        writer.set_tag(run_id, f"{TAG}.{len(known) + 1}" if known else TAG, look.to_tag())
    except Exception as error:
        raise trouble(home, error, must="note a comparison before it is made") from error


def _runs(before: Sequence[Look], scheme: str, units: NDArray[np.uint64]) -> tuple[str, ...]:
    """Return the run of each different comparison that was at these rows."""
    seen: dict[tuple[str, str], str] = {}
    for look in before:
        if look.saw(scheme, units):
            seen.setdefault((look.key, look.champion), look.run)
    return tuple(seen.values())


def _tagged(home: Home, experiment_id: str) -> Iterator[Any]:
    from mlflow.entities import ViewType

    reader, token = client(home), None
    while True:
        page = reader.search_runs(
            [experiment_id],
            f"tags.`{TAG}` != ''",
            run_view_type=ViewType.ALL,
            max_results=PAGE,
            page_token=token,
        )
        yield from page
        if not (token := page.token):
            return


def _place(tag: tuple[str, str]) -> int:
    number = tag[0].removeprefix(TAG).removeprefix(".")
    return int(number) if number.isdecimal() else 1


def _read(run: str, text: str) -> Look:
    try:
        values = json.loads(text)
        return Look(
            run=run,
            key=str(values["key"]),
            champion=str(values["champion"]),
            scheme=str(values["scheme"]),
            number=int(values["look"]),
            sketch=Sketch.from_json(values),
        )
    except (ValueError, KeyError, TypeError):
        return Look(run=run, key=run, champion="", scheme="", number=1, sketch=None)
