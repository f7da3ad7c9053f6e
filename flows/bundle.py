"""The bundle: all that a verdict rests on, in one folder that can be judged again at any time.

- `evidence.json` (flows/assess.py), `ledger.parquet` and `split.json` (flows/split.py),
  `referee.json` (what came of asking the champion) and `referee.parquet` (a line per test row),
  `leaks.json` and `training.json` (flows/leaks.py: a profile of the train rows, for drift);
  whoever judges adds `rules.json` and `verdict.json` and seals it.
- It appears whole or not at all; the same inputs give the same bytes.
- Sealing writes `manifest.json`: every file with its SHA-256. The digest over all of them is the
  version's tag `penstock.evidence`.
- `read_bundle` needs nothing but the folder.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.errors import ArtifactRefused
from flows.json_files import read_json, write_json
from flows.stage import digest_of, file_digest
from flows.tables import read_parquet, write_parquet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from expectations.evidence import Evidence, Referee, Rows
    from expectations.predictions import Predictions

VERSION = 1
MANIFEST = "manifest.json"
LEAKS, TRAINING = "leaks.json", "training.json"
"""Findings, and the profile of the train rows: of the stage `leaks`."""
SIDES = ("challenger", "champion", "anchor")


def write_bundle(
    folder: Path,
    *,
    evidence: Path,
    split: Path,
    facts: Mapping[str, Any],
    rows: pd.DataFrame,
    also: Sequence[Path] = (),
) -> None:
    """Write an unsealed bundle; one that is there is replaced.

    Args:
        folder: where; its parent must exist.
        evidence: the file that `flows.assess` wrote.
        split: the folder with `ledger.parquet` and `split.json`.
        facts: what `referee.json` holds.
        rows: what `referee.parquet` holds.
        also: files that are kept beside these under their names.

    """
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        shutil.copyfile(evidence, draft / "evidence.json")
        for name in ("ledger.parquet", "split.json"):
            shutil.copyfile(split / name, draft / name)
        for path in also:
            shutil.copyfile(path, draft / path.name)
        write_json(draft / "referee.json", {"version": VERSION, **facts})
        write_parquet(rows, draft / "referee.parquet")
        for path in (*sorted(draft.iterdir()), draft):
            _flush(path)
        draft.chmod(0o755)
        _replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def seal_bundle(folder: Path) -> str:
    """Write the manifest of all files that are there now; return the bundle's digest."""
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    names = [name for name in names if name != MANIFEST and not name.startswith(".")]
    files = {name: file_digest(folder / name) for name in names}
    write_json(folder / MANIFEST, {"files": files})
    return _digest(folder, files)


def verify_bundle(
    folder: Path, digest: str | None = None, *, only: Sequence[str] | None = None
) -> None:
    """Compare a sealed bundle's files with its manifest, and that with `digest` where it is given.

    `only` names the files that are looked at; left out: all.

    Raises:
        ArtifactRefused: a file is gone or has other content; says which.

    """
    try:
        files = dict(read_json(folder / MANIFEST)["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"a sealed bundle must have a readable {MANIFEST}, however: {error!r}"
        raise ArtifactRefused(msg) from error
    if digest is not None and (found := _digest(folder, files)) != digest:
        msg = f"{MANIFEST} of the bundle must have the digest {digest}, however: {found}"
        raise ArtifactRefused(msg)
    for name in files if only is None else only:
        if not (folder / name).is_file():
            raise ArtifactRefused(f"{name} of the bundle must be there, however: it is gone")
        if file_digest(folder / name) != files.get(name):
            msg = f"{name} of the bundle must be as it was sealed, however: it has other content"
            raise ArtifactRefused(msg)


def _digest(folder: Path, files: Mapping[str, str]) -> str:
    """The digest over all files, the manifest among them: the tag `penstock.evidence`."""
    return digest_of({**files, MANIFEST: file_digest(folder / MANIFEST)})


def read_bundle(folder: Path) -> Evidence:
    """Return the evidence that the gate judges."""
    from expectations.evidence import Evidence

    return Evidence.of(read_json(folder / "evidence.json"), referee=_referee(folder))


def _referee(folder: Path) -> Referee:
    from expectations.evidence import Referee

    facts = read_json(folder / "referee.json")
    champion, anchor = facts.get("champion"), facts.get("anchor")
    compared = facts["status"] == "compared"
    return Referee(
        status=facts["status"],
        reason=facts.get("reason", ""),
        champion=f"version {champion['version']}" if champion else "",
        anchor=f"version {anchor['version']}" if anchor else "",
        look=facts.get("look", 1),
        rows=_rows(read_parquet(folder / "referee.parquet"), facts) if compared else None,
        counts=facts.get("counts", {}),
    )


def _rows(table: pd.DataFrame, facts: Mapping[str, Any]) -> Rows:
    from expectations.compare import blocks_of
    from expectations.evidence import Rows

    table = table.loc[table["referee"].to_numpy(bool)].reset_index(drop=True)
    found = {side: predictions_of(table, side, facts) for side in SIDES}
    challenger, champion = found["challenger"], found["champion"]
    if challenger is None or champion is None:
        raise ValueError("referee.parquet must hold what both models said")
    found_as = {each["name"]: each["found"] for each in facts.get("slices", ())}
    levels = [name for name in table.columns if name.startswith("level.")]
    return Rows(
        unit=table["unit"].to_numpy(object),
        weight=table["weight"].to_numpy(np.float64),
        block=blocks_of(table["time"].to_numpy(np.int64)) if "time" in table else None,
        challenger=challenger,
        champion=champion,
        anchor=found["anchor"],
        slices={name: table[f"slice.{k}"].to_numpy(bool) for k, name in enumerate(found_as)},
        found=found_as,
        levels={name.removeprefix("level."): table[name].to_numpy(object) for name in levels},
    )


def columns_of(side: str, said: np.ndarray, label: np.ndarray | None) -> dict[str, np.ndarray]:
    """Return the columns of `referee.parquet` that hold what one model said of its rows."""
    if label is None:
        return {f"{side}.value": np.asarray(said, np.float64)}
    shares = {f"{side}.p{k}": np.asarray(said[:, k], np.float64) for k in range(said.shape[1])}
    return {**shares, f"{side}.label": np.asarray(label, np.int64)}


def predictions_of(table: pd.DataFrame, side: str, facts: Mapping[str, Any]) -> Predictions | None:
    """Read such columns again, with the true values beside them; None where they are not there."""
    from expectations.predictions import Predictions

    task, count = facts["task"], len(facts.get("classes") or ())
    if f"{side}.{'label' if count else 'value'}" not in table:
        return None
    if not count:
        target = table["target"].to_numpy(np.float64)
        return Predictions(
            task=task, target=target, value=table[f"{side}.value"].to_numpy(np.float64)
        )
    costs = facts.get("costs")
    return Predictions(
        task=task,
        target=table["target"].to_numpy(np.int64),
        probabilities=table[[f"{side}.p{k}" for k in range(count)]].to_numpy(np.float64),
        label=table[f"{side}.label"].to_numpy(np.int64),
        costs=None if costs is None else np.asarray(costs, np.float64),
    )


def _replace(draft: Path, folder: Path) -> None:
    """Put the draft in its place; what was there goes when the new one stands."""
    old = draft.with_name(f"{draft.name}.old")
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    _flush(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
