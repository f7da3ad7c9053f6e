"""The chosen model on disk: `members.safetensors` and `fitted.json`; no pickle, no module path.

- Only what answers is written: a sweep's other members would be hundreds of megabytes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from models.calibrate import Calibration
from models.decide import Decision
from models.encode import Encoder
from models.fitted import FACTS, TENSORS, finite
from models.model import Model, Networks, RungPart
from models.objective import Target
from models.population import Population
from models.rungs import restore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from models.finish import Finished


def save(found: Finished, directory: Path, facts: Mapping[str, Any]) -> None:
    """Write the model with what was chosen into an existing directory.

    `facts` are further entries of `fitted.json`; nothing that differs between two equal trainings
    (such as seconds) belongs there.
    """
    model = found.model
    calibration, decided = model.calibration, model.decision
    tensors = {f"encoder.{k}": v for k, v in model.encoder.state_dict().items()}
    tensors |= {f"target.{k}": v for k, v in model.target.state_dict().items()}
    for i, part in enumerate(model.networks):
        state = part.population.state_dict()
        tensors |= {f"networks.{i}.{k}": v for k, v in state.items()}
        tensors[f"shares.{i}"] = torch.from_numpy(part.shares)
    for i, rung in enumerate(model.rungs):
        arrays = rung.form.tensors()
        tensors |= {f"rungs.{i}.{k}": torch.from_numpy(v) for k, v in arrays.items()}
    save_file({k: v.contiguous() for k, v in tensors.items()}, directory / TENSORS)
    described = {
        "model": {
            "encoder": model.encoder.describe(),
            "log": model.target.log,
            "networks": [part.population.describe() for part in model.networks],
            "rungs": [{"name": r.name, "share": r.share, **r.form.describe()} for r in model.rungs],
            "classes": model.classes,
        },
        **facts,
        "ensemble": found.choice.facts() | {"left_out": dict(found.left_out)},
        "calibration": calibration.facts() if calibration else None,
        "decision": decided.facts() if decided else None,
    }
    text = json.dumps(finite(described), ensure_ascii=False, allow_nan=False, indent=1)
    (directory / FACTS).write_text(text, encoding="utf-8")


def load(directory: Path) -> tuple[Model, dict[str, Any]]:
    """Return the model that `save` wrote, and `fitted.json`."""
    described = json.loads((directory / FACTS).read_text(encoding="utf-8"))
    made, tensors = described["model"], load_file(directory / TENSORS)

    def part(prefix: str) -> dict[str, torch.Tensor]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    target = part("target.")
    calibration, decided = described["calibration"], described["decision"]
    model = Model(
        encoder=Encoder.restore(made["encoder"], part("encoder.")),
        target=Target(target["mean"], target["scale"], log=made["log"]),
        networks=tuple(
            Networks(
                population=Population.restore(each, part(f"networks.{i}.")).eval(),
                shares=tensors[f"shares.{i}"].numpy(),
            )
            for i, each in enumerate(made["networks"])
        ),
        rungs=tuple(
            RungPart(
                name=each["name"],
                share=each["share"],
                form=restore(each, {k: v.numpy() for k, v in part(f"rungs.{i}.").items()}),
            )
            for i, each in enumerate(made["rungs"])
        ),
        classes=made["classes"],
        calibration=Calibration(**_array(calibration, "bias")) if calibration else None,
        decision=Decision(**_array(decided, "matrix")) if decided else None,
    )
    return model, described


def _array(described: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**described, name: np.asarray(described[name])}
