"""What was read before and what is there now: a source that grows, told in sentences.

- `<home>/sources/read/<name>.json` knows every part that was read: size, time of its last change,
  digest, rows, date, and when it was first read.
- A part that changed after it was read, one that came late (its date lies before others that were
  read), one that is gone and a day without a part are said as warnings; new ones are counted.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from expectations.failure import shown
from flows.dated import gaps
from flows.home import file_name, root_of
from flows.json_files import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from flows.spec import Spec

TOLD = 5


def grown(
    spec: Spec, parts: Sequence[Mapping[str, Any]], kept: Collection[str] = ()
) -> dict[str, Any]:
    """Compare parts with what was read before, remember them, and say what is different.

    Args:
        spec: the settings; what they name is remembered by their name.
        parts: name, path, sha256, bytes, rows and date of each part, in order.
        kept: names of the parts that did not have to be parsed again.

    Returns:
        {"say": a sentence, "notes": warnings, "new": [...], "changed": [...], "late": [...],
        "gone": [...], "parsed": count}.

    """
    path = state_path(spec)
    before = _before(path, spec)
    now = {part["name"]: _facts(part) for part in parts}
    new = [name for name in now if name not in before]
    changed = [n for n in now if n in before and before[n]["sha256"] != now[n]["sha256"]]
    gone = [name for name in before if name not in now]
    newest = max((facts["date"] for facts in before.values() if facts.get("date")), default=None)
    late = [n for n in new if newest and now[n]["date"] and now[n]["date"] < newest]
    if spec.data.last:
        gone = []  # the span moves on, and leaves old parts behind
    first = {name: (before.get(name) or {}).get("first_read") or _today() for name in now}
    facts = {name: {**now[name], "first_read": first[name]} for name in now}
    _remember(path, {"version": 1, "source": _source(spec), "parts": facts})
    notes = _said("changed since the last reading", changed) if before else []
    notes += _said(f"came late, as parts up to {str(newest)[:10]} were read before", late)
    notes += _said("gone since the last reading", gone)
    days = gaps([dt.datetime.fromisoformat(f["date"]) for f in now.values() if f["date"]])
    if days:
        count = "1 day has" if len(days) == 1 else f"{len(days):,} days have"
        notes.append(f"{count} no part: {_listed([str(day) for day in days])}")
    say = f"{len(now):,} parts" + (f", {len(new):,} new" if before else "")
    parsed = sum(name not in kept for name in now)
    say += f", {parsed:,} parsed" if kept else ""
    return {
        "say": say if len(now) > 1 else "", "notes": notes, "parsed": parsed,
        "new": new if before else [], "changed": changed, "late": late, "gone": gone,
    }  # fmt: skip


def state_path(spec: Spec) -> Path:
    """Return where is kept what was read for these settings."""
    return root_of(spec.folder) / "sources" / "read" / f"{file_name(spec.name)}.json"


def _source(spec: Spec) -> list[str]:
    source = spec.data.source
    return [source] if isinstance(source, str) else list(source)


def _before(path: Path, spec: Spec) -> dict[str, dict[str, Any]]:
    """Return the parts that were read before; none where the settings name another source now."""
    try:
        state = read_json(path)
    except (OSError, ValueError):
        return {}
    same = isinstance(state, dict) and state.get("source") == _source(spec)
    return state["parts"] if same else {}


def _facts(part: Mapping[str, Any]) -> dict[str, Any]:
    from pathlib import Path

    try:
        moment = Path(part["path"]).stat().st_mtime_ns if part.get("path") else None
    except OSError:
        moment = None
    known = {key: part.get(key) for key in ("path", "sha256", "bytes", "rows", "date")}
    return {**known, "mtime_ns": moment}


def _today() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _remember(path: Path, state: dict[str, Any]) -> None:
    """Keep the state; a home that cannot be written keeps none, and the run goes on."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, state)
    except OSError:
        return


def _said(what: str, names: Sequence[str]) -> list[str]:
    count = "1 part" if len(names) == 1 else f"{len(names):,} parts"
    return [f"{count} {what}: {_listed(names)}"] if names else []


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - TOLD:,} more" if len(names) > TOLD else ""
    return ", ".join(map(shown, names[:TOLD])) + more
