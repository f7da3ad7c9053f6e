"""A registered version's book: the ledger and the split of the run that made it.

- Read from the run's artifacts: those of its bundle, `gate/`, or of an older run, `ledger/`.
- A ledger says which rows a comparison must leave out, so a changed one is refused: a bundle's
  files must have the digests that its manifest names, and the version's tag names the manifest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.bundle import MANIFEST, verify_bundle
from flows.errors import ArtifactRefused, Doubt
from flows.mlflow_errors import short, trouble
from flows.registry import client
from flows.tables import read_parquet
from flows.transient import is_transient
from flows.versions import EVIDENCE, EVIDENCE_RUN

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from flows.home import Home

GATE, OLDER = "gate", "ledger"
"""Folders of a run's artifacts that hold its ledger."""
FILES = ("ledger.parquet", "split.json")


@dataclass(frozen=True, kw_only=True)
class Book:
    """What a version's split left: its ledger, and `split.json`."""

    rows: pd.DataFrame
    """A line per row: identity, side and, where they were declared, group and time."""
    facts: Mapping[str, Any]
    schema: Mapping[str, Any]
    """How the version types raw cells; its serving schema."""

    @property
    def scheme(self) -> Mapping[str, Any]:
        """What the identities and sides rest on."""
        return self.facts["scheme"]

    @property
    def by_time(self) -> bool:
        """Whether the sides were spans of time."""
        return self.scheme.get("by") == "time"


def book_of(home: Home, version: Any, schema: Mapping[str, Any], *, name: str, into: Path) -> Book:
    """Return the book of a version; its files go into the folder `into`.

    `name` is what the version is called in a sentence.

    Raises:
        Doubt: it is gone, cannot be read, or was changed.
        PenstockError: MLflow does not answer.

    """
    try:
        folder = _fetched(home, version, into)
        facts = json.loads((folder / FILES[1]).read_text(encoding="utf-8"))
        return Book(rows=read_parquet(folder / FILES[0]), facts=facts, schema=schema)
    except ArtifactRefused as error:
        raise Doubt(f"the ledger of {name} is not what was registered: {error}") from error
    except Exception as error:
        if is_transient(error):
            raise trouble(home, error, must="give a run's ledger") from error
        raise Doubt(
            f"the ledger of {name} cannot be read from its MLflow run ({short(error)}), so the rows "
            "that it was made from are not known; promote a version by hand to compare with that one"
        ) from error


def _fetched(home: Home, version: Any, into: Path) -> Path:
    """Copy ledger and split out of the store, and compare them with the bundle's manifest."""
    reader = client(home)
    there = {found.path for found in reader.list_artifacts(version.run_id, GATE)}
    place = GATE if f"{GATE}/{FILES[0]}" in there else OLDER
    sealed = f"{GATE}/{MANIFEST}" in there
    for name in (*FILES, MANIFEST) if sealed else FILES:
        draft = reader.download_artifacts(version.run_id, f"{place}/{name}", str(into))
        Path(draft).replace(into / name)  # stores differ in where they put it
    if sealed:  # the tag is about the run that judged it last, which may have reused the model
        own = version.tags.get(EVIDENCE_RUN) == version.run_id
        verify_bundle(into, version.tags.get(EVIDENCE) if own else None, only=FILES)
    return into
