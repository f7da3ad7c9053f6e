"""The quarantine of a home: what each run set aside, kept until [keep] lets it go.

- `quarantine/<run>.parquet`: one line per offence (see `quarantine_rows.py`), and the run's id.
- `quarantine/rows/<run>.parquet`: the rows themselves, every column as it was loaded.
- `quarantine/files/<digest>.<ending>`: files that could not be read, each content once.
- `quarantine/<run>.json`: whose they are, counts, digests. It is written last, each file whole or
  not at all, so a run that is listed has all of its rows, wherever a process was killed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.errors import DataRefused, PenstockError
from flows.json_files import read_json, write_json
from flows.quarantine_rows import LINES, ROWS
from flows.stage import file_digest
from flows.whole_files import flush, place_copy, place_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from flows.home import Home
    from flows.maker import Maker
    from flows.run import Run
    from flows.spec import Spec

VERSION = 1
JUDGE = "validate"
"""The stage that holds rows against the contract."""
READING = ("separator", "encoding", "quote", "skip_lines", "header", "names")
"""Settings that say how a text is cut into cells: rows that are kept were cut by them."""


def refused_at(maker: Maker) -> Path:
    """Where the stage that judges leaves the rows of a table that it refuses."""
    return maker.home.checkpoints / JUDGE / maker.parts[JUDGE].key[:32]


def forget_refused(maker: Maker) -> None:
    """Remove the rows of a table that was refused."""
    if JUDGE in maker.parts and JUDGE not in maker.made:
        shutil.rmtree(refused_at(maker), ignore_errors=True)


@contextlib.contextmanager
def kept_for(run: Run, stage: str) -> Iterator[None]:
    """Keep what a stage of a run sets aside, whether it passes the table or refuses it.

    A refusal is told even where the rows cannot be kept.
    """
    try:
        yield
    except DataRefused:
        if stage == JUDGE:
            try:
                run.aside = keep(run.maker, run.id, refused=True)
            except OSError as error:
                run.progress.warn(f"the rows set aside could not be kept: {error}")
            forget_refused(run.maker)
            _say(run)
        raise
    if stage == JUDGE:
        run.aside = keep(run.maker, run.id)
        _say(run)


def _say(run: Run) -> None:
    if run.aside:
        rows, files = run.aside["quarantined"], len(run.aside["files"])
        what = [f"{rows:,} row{'s' * (rows != 1)}"] if rows else []
        what += [f"{files:,} file{'s' * (files != 1)}"] if files else []
        said = f"  set aside: {' and '.join(what)}; penstock quarantine show {run.id}"
        run.progress.say(said)


def keep(maker: Maker, run: str, *, refused: bool = False) -> dict[str, Any] | None:
    """Keep what the rules of a run's contract set aside, and files that could not be read.

    Args:
        maker: has made the stage that judges, or has been refused by it.
        run: Penstock's id of the run.
        refused: the table as a whole was refused.

    Returns:
        What the run's index holds; None where nothing is set aside.

    Raises:
        OSError: the home cannot be written.

    """
    folder = refused_at(maker) if refused else maker.made[JUDGE].path
    if not (folder / LINES).is_file():
        return None
    loaded = read_json(maker.made["load"].path / "load.json")
    checked = read_json(folder / "validation.json")
    files = loaded.get("bad_parts", [])
    if not checked["quarantined"] and not files:
        return None
    index = _index(maker.spec, run, loaded, checked, refused=refused)
    write(maker.home, index, folder)
    return index


def _index(
    spec: Spec, run: str, loaded: Mapping[str, Any], checked: Mapping[str, Any], *, refused: bool
) -> dict[str, Any]:
    reading = spec.data.model_dump(mode="json", include=set(READING))
    return {
        "version": VERSION,
        "run": run,
        "name": spec.name,
        "settings": str(spec.path) if spec.path else None,
        "written": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "refused": refused,
        "rows": checked["rows"],
        "quarantined": checked["quarantined"],
        "max_fraction": checked["max_fraction"],
        "limits": checked["limits"],
        "rules": checked["rules"],
        "parts": {p["name"]: {"sha256": p["sha256"], "path": p["path"]} for p in loaded["parts"]},
        "files": [dict(each) for each in loaded.get("bad_parts", [])],
        "widths": (loaded.get("aside") or {}).get("widths", {}),
        "contract": checked["contract"]["digest"],
        "reading": reading,
    }


def write(home: Home, index: dict[str, Any], folder: Path) -> None:
    """Put the tables of `folder` and bad files into the home, then the index that names them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    run = index["run"]
    lines = pq.read_table(folder / LINES, page_checksum_verification=True)
    index["sources"] = _counts(lines)
    for each in index["files"]:
        each["kept"] = _kept(home, each)
    name = pa.repeat(run, lines.num_rows).dictionary_encode()
    place_table(lines.append_column("run", name), lines_of(home, run))
    place_copy(folder / ROWS, rows_of(home, run))
    places = {"lines": lines_of(home, run), "rows": rows_of(home, run)}
    index["digests"] = {name: file_digest(path) for name, path in places.items()}
    write_json(index_of(home, run), index)
    flush(index_of(home, run))
    flush(home.quarantine)


def _counts(lines: pa.Table) -> dict[str, int]:
    """Rows set aside by part."""
    # a record of another width is no row; every row has its record
    rows = lines.select(["row", "record", "source"])
    rows = rows.group_by(["row", "record", "source"]).aggregate([])
    found = rows["source"].value_counts().to_pylist()
    ordered = sorted(found, key=lambda each: -each["counts"])
    return {str(each["values"]): each["counts"] for each in ordered}


def lines_of(home: Home, run: str) -> Path:
    """The offences of a run."""
    return home.quarantine / f"{run}.parquet"


def rows_of(home: Home, run: str) -> Path:
    """The rows of a run."""
    return home.quarantine / "rows" / f"{run}.parquet"


def index_of(home: Home, run: str) -> Path:
    """What is known of them."""
    return home.quarantine / f"{run}.json"


def listed(home: Home, name: str | None = None) -> list[dict[str, Any]]:
    """Return the indexes of all runs that set something aside, the newest first."""
    found = []
    for path in home.quarantine.glob("*.json"):
        try:
            index = read_json(path)
        except (OSError, ValueError):  # going, or not ours
            continue
        ours = isinstance(index, dict) and index.get("run") == path.stem
        if ours and lines_of(home, path.stem).is_file() and name in (None, index["name"]):
            found.append(index)
    return sorted(found, key=lambda index: (index["written"], index["run"]), reverse=True)


def find(home: Home, run: str) -> dict[str, Any]:
    """Return the index of one run, by its id or the beginning of it; "latest" is the newest.

    Raises:
        PenstockError: there is none, or several begin so.

    """
    known = listed(home)
    found = known[:1] if run == "latest" else [i for i in known if i["run"].startswith(run)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(index["run"] for index in found[:5])
        msg = f"{run!r} must name one run, it begins {len(found)}: {names}"
        raise PenstockError(msg)
    names = ", ".join(index["run"] for index in known[:5]) or "none"
    msg = (
        f"{run!r} must be a run that set rows aside, {home.quarantine} has {names} "
        "(PENSTOCK_HOME names another home)"
    )
    raise PenstockError(msg)


def verified(home: Home, index: Mapping[str, Any], what: str) -> Path:
    """Return the file with the "lines" or the "rows" of a run, as it was written.

    Raises:
        PenstockError: it is gone, or has other content.

    """
    path = {"lines": lines_of, "rows": rows_of}[what](home, index["run"])
    if not path.is_file():
        msg = f"{path} must be there, however it is gone ([keep] removes what is old)"
        raise PenstockError(msg)
    if file_digest(path) != index["digests"][what]:
        msg = f"{path} must be as it was written, however it has other content"
        raise PenstockError(msg)
    return path


def _kept(home: Home, facts: Mapping[str, Any]) -> str | None:
    """Copy a file that could not be read; its place in the home, None where it has changed."""
    source = Path(facts["path"])
    place = home.quarantine / "files" / f"{facts['sha256'][:32]}{''.join(source.suffixes[-2:])}"
    try:
        if place.is_file() and file_digest(place) == facts["sha256"]:
            os.utime(place)  # for [keep]: it is of use again
        else:
            place_copy(source, place, facts["sha256"])
    except OSError:
        return None
    return place.relative_to(home.root).as_posix() if place.is_file() else None
