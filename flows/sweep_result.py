"""What later stages take from a sweep's folder: the winner's settings, and the fitted populations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.json_files import read_json

if TYPE_CHECKING:
    from pathlib import Path

    from flows.spec import Spec
    from models.fitted import Fitted

RECORD = "sweep.json"


def with_best(spec: Spec, folder: Path) -> Spec:
    """Return the settings with what the best trial chose in `[train]`."""
    chosen = read_json(folder / RECORD)["best"]["parameters"]
    return spec.model_copy(update={"train": spec.train.model_copy(update=chosen)})


def fitted(folder: Path) -> list[Fitted]:
    """Return the populations of finished trials; a member's `settings["trial"]` is its trial."""
    from models.fitted import Fitted

    return [Fitted.load(folder / name) for name in read_json(folder / RECORD)["groups"]]
