"""Which stages a run would make, and which change caused it; nothing is made here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.json_files import read_json
from flows.maker import earlier_split, plan_path, stage_parts
from flows.stage import Artifact, Store
from flows.stages import stages_of

if TYPE_CHECKING:
    from flows.home import Home
    from flows.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Step:
    """What would become of one stage."""

    name: str
    reused: bool
    reason: str


def planned(spec: Spec, home: Home) -> list[Step]:
    """Say for each stage whether it would be reused, and else why not.

    A stage behind one that has to run may still be reused, when that one comes to the same
    result as before; it is shown as running.
    """
    store, made = Store(home.cache), dict[str, Artifact]()
    path = plan_path(home, spec)
    before = read_json(path) if path.is_file() else {}
    steps: list[Step] = []
    for stage in stages_of(spec):
        waits = [name for name in stage.needed(spec) if name not in made]
        if waits:
            reason = f"waits for {', '.join(waits)}"
            steps.append(Step(name=stage.name, reused=False, reason=reason))
            continue
        parts = stage_parts(stage, spec, made, earlier_split(stage, spec, home, made))
        found = store.find(stage.name, parts.key)
        if found is not None:
            made[stage.name] = found
            steps.append(Step(name=stage.name, reused=True, reason="nothing it depends on changed"))
            continue
        known = before.get(stage.name)
        changes = parts.changes(known) if known else []
        reason = f"changed: {', '.join(changes)}" if changes else "its artifact is gone"
        reason = reason if known else "never made for this name"
        steps.append(Step(name=stage.name, reused=False, reason=reason))
    return steps
