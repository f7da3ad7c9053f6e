"""What is offered to the registry, and where it came to stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ANY = 0
"""As `Candidate.compared_with`: the verdict is about no champion."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A fitted model that asks to be published."""

    name: str
    key: str
    """The idempotency key."""
    run: str
    """Penstock's run id."""
    folder: Path
    """Holds graph.onnx, schema.json, served.py and input_example.json."""
    questions: Mapping[str, Any]
    """What the examiner is told: raw rows, expected answers, tolerance."""
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    """What the version's page says."""
    about: Mapping[str, str] = field(default_factory=dict)
    """Facts of all versions, as tags of the registered model: target, task, metric."""
    note: str = ""
    """What the registered model's page says."""
    promote: bool = False
    """Whether the verdict lets it become the champion."""
    compared_with: int | None = ANY
    """The champion's version that the verdict is about; None: there was none; 0: whichever."""
    rule: str = "off"
    """The rule that decided: first, better, no_worse or off; the log's."""
    because: str = ""
    """What decided, with its numbers: the metric blessing; left out: the tag `reasons`."""
    evidence: Path | None = None
    """The bundle that the verdict rests on, a folder; logged with the run as `gate/`."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """Where a model stands after publishing."""

    name: str
    version: int
    uri: str
    model_id: str | None
    """MLflow's id of the logged model; None where it was there already."""
    aliases: tuple[str, ...]
    unchanged: bool
    """Whether the version existed already."""
    moved: bool
    """Whether `champion` points to another version than before."""
    examined: Mapping[str, Any]
    manifest: Mapping[str, str]
    raced: bool = False
    """Whether another version had become champion since the comparison: judge again."""
    held: str = ""
    """Why the version may not be promoted although its verdict says so: a rollback's hold."""
    champion: int | None = None
    """The version in service now."""
    said: tuple[str, ...] = ()
    """What was settled or removed on the way, in words."""
