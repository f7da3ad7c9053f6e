"""What a run offers to the registry: its model, the verdict on it, and what the pages will say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flows.aliases import kept_aliases
from flows.experiment import model_note
from flows.model_card import NAME as CARD
from flows.offer import ANY, Candidate
from flows.summary import digests, git, parts_of_report, reading_schema, verdict
from flows.verdict import ENDS

if TYPE_CHECKING:
    from flows.run import Run

READING = ("separator", "encoding", "quote", "skip_lines", "header", "names", "sheet")
"""How text files were read, kept with a version so that scoring reads them alike."""


LONGEST = 4_900  # characters of a version's description in MLflow
MORE = f"\n\nThe rest is in the run's artifact `gate/{CARD}`."
BUDGETS = ("one_row_ms", "one_row_p95_ms", "memory_gb")
"""What a model may cost its consumer, of `[gate]`."""


def candidate(run: Run) -> Candidate:
    """What this run asks to have published."""
    outcome = run.verdict.outcome if run.verdict else "inconclusive"
    ended = ENDS[outcome]
    said = verdict(run, parts_of_report(run), outcome=ended)
    exported = run.made["export"].path
    tags = {"verdict": ended}
    if said["value"] is not None:  # what a person looks for stands first on the version's page
        tags["metric"] = f"{said['metric']}={said['value']:.6g}"
    tags["reasons"] = "; ".join(said["reasons"])
    tags |= {f"digest.{k}": v for k, v in digests(run).items()}
    tags |= {
        "git.commit": str(git().get("commit")),
        "contract": run.made["contract"].facts["digest"],
        "contract.version": str(run.made["contract"].facts["version"]),
    }
    reading = run.spec.data.model_dump(mode="json", include=set(READING))
    tags["reading"] = json.dumps(reading | kept_aliases(run.spec.data), ensure_ascii=False)
    about = {"target": run.spec.data.target, "task": reading_schema(run)["task"]}
    about |= {"metric": said["metric"]} if said["metric"] else {}
    return Candidate(
        name=run.spec.name,
        key=run.key,
        run=run.id,
        folder=exported / "model",
        questions={
            "rows": str(exported / "questions.parquet"),
            "expected": str(exported / "answers.parquet"),
            "tolerance": 1e-5,
            "serve": run.spec.gate.serve,
            "budgets": run.spec.gate.model_dump(include=set(BUDGETS)),
        },
        tags=tags,
        description=_description(run, f"{said['sentence']} Run {run.id}."),
        about=about,
        note=model_note(run.spec.name, about),
        promote=outcome == "promote",
        compared_with=_compared_with(run),
        rule=(run.verdict.rule if run.verdict else "") or "off",
        because="; ".join(said["reasons"][:3]),
        evidence=run.bundle if run.bundle.is_dir() else None,
    )


def _description(run: Run, sentence: str) -> str:
    """The version's page: the verdict, then the model's card as far as it fits."""
    card = run.bundle / CARD
    if not card.is_file():
        return sentence
    _, _, body = card.read_text(encoding="utf-8").partition("\n")  # the page has a title
    whole = f"{sentence}\n\n{body.strip()}"
    if len(whole) <= LONGEST:
        return whole
    return whole[: LONGEST - len(MORE)].rpartition("\n")[0] + MORE


def _compared_with(run: Run) -> int | None:
    """The champion's version that the verdict is about, in the words of `Candidate`."""
    if run.referee.get("status") == "off":
        return ANY
    held = run.referee.get("champion")
    return int(held["version"]) if held else None
