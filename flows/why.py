"""What decided: the verdict of a run, or of a registered version, in a sentence with its reasons."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flows.errors import PenstockError
from flows.home import find_home
from flows.json_files import read_json
from flows.registry import resolve
from flows.verdict import beside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def why(what: str, folder: Path) -> dict[str, Any]:
    """Answer for a run id (or its beginning), `MODEL`, `MODEL@alias` or `MODEL/version`.

    Raises:
        PenstockError: nothing of that name is known in the home.

    """
    home = find_home(folder)
    runs = sorted(home.runs.glob(f"{_plain(what)}*/summary.json"))
    if len(runs) == 1:
        return _of_run(runs[0])
    if len(runs) > 1:
        msg = f"{what!r} must name one run, it begins {len(runs)}: {', '.join(p.parent.name for p in runs[:5])}"
        raise PenstockError(msg)
    version = resolve(home, what)
    path = home.runs / version.tags.get("penstock.run", "") / "summary.json"
    if path.is_file():
        return _of_run(path) | {"model": version.name, "version": int(version.version)}
    return {
        "sentence": _first_line(version.description) or f"{version.name} version {version.version}",
        "reasons": [r for r in version.tags.get("penstock.reasons", "").split("; ") if r],
        "model": version.name,
        "version": int(version.version),
    }


def _first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0]


def _plain(what: str) -> str:
    return what.replace("[", "").replace("*", "").replace("?", "").replace("/", "")


def _of_run(path: Path) -> dict[str, Any]:
    summary = read_json(path)
    verdict = summary["verdict"]
    return {
        "run": summary["run"],
        "sentence": verdict["sentence"],
        "reasons": verdict["reasons"],
        "decided_by": verdict.get("decided_by"),
        "outcome": verdict["outcome"],
        "ladder": beside(summary),
    }


def as_text(answer: Mapping[str, Any]) -> str:
    """The answer for a terminal: the sentence, the reasons that it does not hold, the ladder."""
    sentence = answer["sentence"]
    more = [reason for reason in answer["reasons"] if not _is_said(reason, sentence)]
    more += [answer["ladder"]] if answer.get("ladder") else []
    return "\n".join([sentence, *(f"  {line}" for line in more)])


def _is_said(reason: str, sentence: str) -> bool:
    """Whether the sentence holds the reason itself, or the metric whose value it gives."""
    metric = re.match(r"(\w+) -?\d", reason)
    return reason.rstrip(".:") in sentence or bool(metric and f"{metric[1]} is " in sentence)
