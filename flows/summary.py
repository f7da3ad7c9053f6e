"""What a run leaves in words and numbers: `summary.json`, the verdict's sentence, the version's tags.

- `docs/summary.md` documents the shape with an example; a test holds both together.
- Whatever ended the run, the summary has name, run, verdict and how far it came.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.errors import ArtifactRefused, DataRefused
from flows.experiment import run_link
from flows.gate_summary import gate_of
from flows.json_files import read_json
from flows.leaks_section import summary_of as leaks_of
from flows.quarantine_section import summary_of as quarantine_of
from flows.quarantine_store import lines_of
from flows.stage import code_digest, digest_of, installed_versions
from flows.stages import settings_digest
from flows.sweep_section import summary_of
from flows.verdict import verdict_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flows.offer import Published
    from flows.run import Run

LONGEST_ERROR = 4000

FILES = {
    "load": ("load", "load.json"),
    "profile": ("analyze", "profile.json"),
    "validation": ("validate", "validation.json"),
    "split": ("split", "split.json"),
    "leaks": ("leaks", "leaks.json"),
    "canary": ("canary", "canary.json"),
    "sweep": ("sweep", "sweep.json"),
    "fitted": ("train", "fitted.json"),
    "curves": ("train", "curves.json"),
    "export": ("export", "export.json"),
    "evidence": ("assess", "evidence.json"),
}
"""The parts of the report: name -> stage and file."""


def parts_of_report(run: Run) -> dict[str, Any]:
    """Read what the stages made so far left for the report."""
    paths = {
        part: run.made[stage].path / file
        for part, (stage, file) in FILES.items()
        if stage in run.made
    }
    parts = {part: read_json(path) for part, path in paths.items() if path.is_file()}
    if run.published is not None and "figures" in run.published.examined:
        figures = run.published.examined["figures"]
        parts["export"] |= {
            "latency_ms": {
                "one_row": figures["one_row_ms"],
                "hundred_thousand_rows": figures["hundred_thousand_rows_seconds"] * 1000,
            },
            "memory_bytes": figures["peak_memory_bytes"],
        }
    return parts


def summarize(run: Run, error: BaseException | None) -> dict[str, Any]:
    """Return the run's summary as plain JSON values; `error` is what ended it, if anything did."""
    parts = parts_of_report(run)
    evidence = parts.get("evidence", {})
    schema = reading_schema(run)
    return {
        "version": 1,
        "name": run.spec.name,
        "task": schema.get("task") or run.spec.task,
        "target": run.spec.data.target,
        "run": run.id,
        "started": run.started.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "seconds": run.seconds,
        "stages": [
            {"name": name, "seconds": made.seconds, "reused": made.reused, "key": made.key[:16]}
            for name, made in run.made.items()
        ],
        "verdict": verdict(run, parts, error),
        "failures": [f.to_json() for f in error.failures] if isinstance(error, DataRefused) else [],
        "error": _error(error),
        "rows": _rows(parts),
        "contract": _contract(run, parts),
        "quarantine": quarantine_of(parts, run.aside, _lines(run)),
        "alarms": parts.get("profile", {}).get("alarms", []),
        "leaks": leaks_of(parts),
        "drift": run.drift,
        "warnings": run.progress.warnings,
        "sweep": summary_of(parts.get("sweep")),
        "metrics": evidence.get("metrics", {}),
        "ladder": evidence.get("ladder", []),
        "gate": gate_of(run),
        "registered": _registered(run),
        "blessings": _blessings(run, error),
        "digests": digests(run),
        "git": git(),
        "settings": run.spec.model_dump(mode="json"),
        "versions": installed_versions(),
        "links": {"mlflow": _mlflow_link(run), "prefect": _prefect_link(run)},
    }


def reading_schema(run: Run) -> dict[str, Any]:
    """The schema that the data was read by; empty before there is one."""
    stage = next((name for name in ("validate", "contract") if name in run.made), None)
    return read_json(run.made[stage].path / "schema.json") if stage else {}


def verdict(
    run: Run, parts: Mapping[str, Any], error: BaseException | None = None, outcome: str = ""
) -> dict[str, Any]:
    """The verdict as it stands; `outcome` where it is not the run's own yet."""
    made = run.published
    return verdict_of(
        outcome or run.outcome,
        run.verdict,
        parts.get("evidence", {}),
        floors=run.spec.gate.floors,
        subject=f"{made.name} version {made.version}" if made else "",
        rows=_rows(parts).get("test"),
        error=error,
        hindered=_hindered(made),
    )


def _hindered(made: Published | None) -> str:
    """Why the model is not champion although the gate would have it."""
    if made is None:
        return ""
    overtaken = "another version became champion again and again while it was compared"
    return made.held or (overtaken if made.raced else "")


def _error(error: BaseException | None) -> str | None:
    if error is None:
        return None
    text = str(error) or type(error).__name__
    return text[:LONGEST_ERROR]


def _rows(parts: Mapping[str, Any]) -> dict[str, Any]:
    counts = {side: c.get("rows") for side, c in parts.get("split", {}).get("counts", {}).items()}
    read = parts.get("load", {}).get("rows")
    if read is not None:  # records of another width were read too
        read += (parts["load"].get("aside") or {}).get("records", 0)
    quarantined = parts.get("validation", {}).get("quarantined")
    drawn = parts.get("load", {}).get("sample")
    source = {"source": drawn["of"]} if drawn else {}
    return {"read": read, **source, "quarantined": quarantined, **counts}


def _contract(run: Run, parts: dict[str, Any]) -> dict[str, Any] | None:
    if "contract" not in run.made:
        return None
    facts, checked = run.made["contract"].facts, parts.get("validation", {})
    return {
        "digest": facts["digest"],
        "version": facts["version"],
        "edited": facts["edited"],
        "accepted": facts["accepted"],
        "proposed": not facts["accepted"],
        "path": str(run.spec.contract_path),
        "failures": len(checked.get("failures", [])),
        "warnings": len(checked.get("warnings", [])),
        "newest": facts["newest"],
    }


def _lines(run: Run) -> str | None:
    return str(lines_of(run.home, run.id)) if run.aside else None


def _registered(run: Run) -> dict[str, Any] | None:
    if run.published is None:
        return None
    made = run.published
    return {
        "model": made.name,
        "version": made.version,
        "aliases": list(made.aliases),
        "uri": made.uri,
        "unchanged": made.unchanged,
        "manifest": dict(made.manifest),
    }


def _blessings(run: Run, error: BaseException | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if run.published is not None and run.published.examined:
        examined = run.published.examined
        found["mechanical"] = {
            "passed": True,
            "detail": _examination(examined),
            **{k: v for k, v in examined.items() if k != "ok"},
        }
    elif run.published is not None:
        found["mechanical"] = {"passed": True, "detail": "examined when the version was registered"}
    elif isinstance(error, ArtifactRefused):
        found["mechanical"] = {"passed": False, "detail": str(error)[:LONGEST_ERROR]}
    if run.verdict is not None:
        passed = run.verdict.outcome == "promote"
        found["quality"] = {"passed": passed, "detail": "; ".join(run.verdict.reasons)}
    return found


def _examination(examined: Mapping[str, Any]) -> str:
    """What the fresh process found, in one sentence."""
    checks, figures = examined["checks"], examined["figures"]
    return (
        f"in a fresh process without torch: {len(checks)} of {len(checks)} checks; one row in "
        f"{figures['one_row_ms']:.1f} ms, 100,000 rows in "
        f"{figures['hundred_thousand_rows_seconds']:.1f} s"
    )


def digests(run: Run) -> dict[str, str]:
    """Digests of settings, code, lock, and of data and model as soon as they are known."""
    digests = {
        "settings": settings_digest(run.spec),
        "code": code_digest("flows.pipeline"),
        "lock": digest_of(installed_versions()),
    }
    digests |= {"data": run.made["load"].digest} if "load" in run.made else {}
    return digests | ({"model": run.made["export"].digest} if "export" in run.made else {})


def git() -> dict[str, Any]:
    """The commit of this repository, where it is a checkout."""
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():
        return {}
    try:
        command = ["git", "-C", str(here)]
        commit = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            [*command, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
        state = subprocess.run(  # noqa: S603
            [*command, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return {"commit": commit.stdout.strip() or None, "dirty": bool(state.stdout.strip())}


def _mlflow_link(run: Run) -> str:
    return run_link(run.home.tracking_uri, run.tracker.experiment_id, run.tracker.run_id)


def _prefect_link(run: Run) -> str | None:
    """The flow run's page where a server stays up; its id where the server ends with the run."""
    from prefect.runtime import flow_run

    if run.home.prefect_url is None:
        return f"flow run {flow_run.id} in {run.home.root / 'prefect'}" if flow_run.id else None
    return flow_run.ui_url


def verdict_markdown(run: Run, summary: Mapping[str, Any]) -> str:
    """The verdict for Prefect's artifacts page."""
    verdict, rows = summary["verdict"], summary["rows"]
    lines = [f"# {verdict['sentence']}", "", *(f"- {reason}" for reason in verdict["reasons"])]
    lines += ["", "| rows | |", "|---|---|", *(f"| {side} | {n} |" for side, n in rows.items())]
    lines += ["", "| stage | seconds | |", "|---|---|---|"]
    for stage in summary["stages"]:
        lines.append(
            f"| {stage['name']} | {stage['seconds']} | {'reused' if stage['reused'] else ''} |"
        )
    lines += [
        "",
        f"Report: `{run.folder / 'report.html'}`",
        f"MLflow: {summary['links']['mlflow']}",
    ]
    return "\n".join(lines)
