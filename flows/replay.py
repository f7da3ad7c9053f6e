"""Judging again what was judged: stored bundles, by the rules of then or by others.

- Nothing is trained and no model is asked: a bundle holds what both models said of every row.
- By the rules of then a verdict must come out as it was; one that does not is named.
- By other rules the answer is exploratory, and says so: no alias moves, no look is counted.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.bundle import read_bundle, verify_bundle
from flows.errors import ArtifactRefused, PenstockError
from flows.home import find_home
from flows.json_files import read_json
from flows.judging import RULES, SWITCHED_OFF, VERDICT
from flows.mlflow_errors import trouble
from flows.registry import client, resolve
from flows.settings import gate_with
from flows.versions import EVIDENCE, EVIDENCE_RUN, RUN, standing, versions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flows.home import Home

ENOUGH = ("evidence.json", "referee.json", "referee.parquet", RULES, VERDICT)
"""The files of a bundle that judging reads."""


def replay(
    model: str,
    folder: Path,
    overrides: Sequence[str] = (),
    *,
    last: int = 50,
    said: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Judge the newest `last` versions of `model` again, the oldest of them first.

    Returns:
        {"model", "exploratory", "changes": ["gate.margin=0.01"], "judged": [{"version", "run",
        "at", "then", "now", "changed", "exact", "reasons"}], "left_out": [{"version", "why"}]}.
        `now` is None where the bundle could not be judged.

    Raises:
        SettingsError: an override that is no rule of the gate.
        PenstockError: no such model, or MLflow does not answer.

    """
    home = find_home(folder)
    name = model.removeprefix("models:/").partition("@")[0].partition("/")[0]
    try:
        if standing(home, name) is None:
            resolve(home, name)  # says what there is
        known = [v for v in versions(home, name) if v.tags.get(EVIDENCE)][-last:]
    except PenstockError:
        raise
    except Exception as error:
        raise trouble(home, error, must="list the versions") from error
    judged, left_out = list[dict[str, Any]](), list[dict[str, Any]]()
    for version in known:
        said(f"version {version.version}")
        try:
            judged.append(_judged(home, version, overrides))
        except ArtifactRefused as error:
            left_out.append({"version": int(version.version), "why": str(error)})
    return {
        "model": name,
        "exploratory": bool(overrides),
        "changes": list(overrides),
        "judged": judged,
        "left_out": left_out,
    }


def _judged(home: Home, version: Any, overrides: Sequence[str]) -> dict[str, Any]:
    from expectations.gate import Rules, Verdict, judge

    with tempfile.TemporaryDirectory(prefix="penstock-replay-") as place:
        bundle = _fetched(home, version, Path(place))
        stored, rules = read_json(bundle / VERDICT), read_json(bundle / RULES)
        then = Verdict.from_json(stored)
        if then.decided_by == SWITCHED_OFF and not overrides:
            now = then
        else:
            now = judge(read_bundle(bundle), Rules.of(gate_with(rules, overrides)))
    created = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
    return {
        "version": int(version.version),
        "run": version.tags.get(RUN),
        "at": created.isoformat(timespec="seconds"),
        "then": then.outcome,
        "now": now.outcome,
        "changed": now.outcome != then.outcome,
        "exact": now.to_json() == stored,
        "reasons": list(now.reasons),
    }


def _fetched(home: Home, version: Any, into: Path) -> Path:
    """Return the version's bundle, its files as they were sealed.

    Raises:
        ArtifactRefused: it is gone, or a file of it was changed.

    """
    run = version.tags.get(EVIDENCE_RUN, version.run_id)
    try:
        folder = Path(client(home).download_artifacts(run, "gate", str(into)))
    except Exception as error:
        msg = f"the bundle of version {version.version} must be in its MLflow run, however: {error}"
        raise ArtifactRefused(msg) from error
    verify_bundle(folder, version.tags[EVIDENCE], only=ENOUGH)
    return folder


def unfaithful(found: dict[str, Any]) -> list[int]:
    """Return the versions whose stored verdict did not come out again by the rules of then."""
    if found["exploratory"]:
        return []
    return [each["version"] for each in found["judged"] if not each["exact"]]


def as_text(found: dict[str, Any]) -> str:
    """The answer for a terminal: a line per version, then what it comes to."""
    lines = []
    for each in found["judged"]:
        turn = f"{each['then']} -> {each['now']}" if each["changed"] else each["now"]
        reason = each["reasons"][0] if each["reasons"] else ""
        lines.append(f"  version {each['version']:<4} {each['at'][:10]}  {turn:<24} {reason}")
    lines += [
        f"  version {each['version']:<4} left out: {each['why']}" for each in found["left_out"]
    ]
    changed = sum(each["changed"] for each in found["judged"])
    total = len(found["judged"])
    if found["exploratory"]:
        rules = ", ".join(found["changes"])
        lines.append(
            f"{found['model']}: with {rules}, {changed} of {total} verdicts would be another "
            "(exploratory: no alias moves)"
        )
    elif wrong := unfaithful(found):
        numbers = ", ".join(map(str, wrong))
        lines.append(
            f"{found['model']}: the stored verdict of version {numbers} did not come out again; the "
            "gate's code has changed since"
        )
    else:
        lines.append(f"{found['model']}: {total} stored verdicts, each came out again as it was")
    return "\n".join(lines)
