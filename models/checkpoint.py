"""Checkpoints of a training: safetensors with JSON beside them, written atomically.

- A checkpoint is one folder that is renamed into place: a kill leaves the old one or the new one.
- Nothing random needs saving but the scheme's name: every generator is keyed by the member and the
  number of the epoch, so a resumed training draws what the first would have drawn.
- A checkpoint of other data or settings, or a damaged one, is not used (`key`, checksum).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load, save

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from models.learner import Learner

RNG = "fnv1a(seed, fold, purpose, epoch)"
NAME = "checkpoint"


class Checkpoints:
    """Writes a learner's state every so often, and puts it back."""

    def __init__(self, directory: Path, *, key: str, seconds: float = 10.0) -> None:
        """Keep one checkpoint under `directory`, at most one per `seconds`."""
        self.folder, self.key, self.seconds = directory / NAME, key, seconds
        self.old = directory / f".{NAME}.old"
        self.last = time.monotonic()

    def __call__(self, learner: Learner) -> None:
        """Write a checkpoint after an epoch if the last one is old enough."""
        if time.monotonic() - self.last < self.seconds:
            return
        self.write(learner)
        self.last = time.monotonic()

    def write(self, learner: Learner) -> None:
        """Write the state after the learner's last whole epoch."""
        courses, best = learner.courses.state()
        tensors = {
            **{f"population.{k}": v for k, v in learner.population.state_dict().items()},
            **{f"optimizer.{k}": v for k, v in learner.optimizer.tensors().items()},
            **{f"best.{k}": v for k, v in best.items()},
        }
        content = save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
        state = {
            "key": self.key,
            "epoch": learner.epoch,
            "steps": learner.optimizer.steps,
            "rng": RNG,
            "courses": courses,
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        temporary = self.folder.with_name(f".{NAME}.{os.getpid()}")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        _write(temporary / "state.safetensors", content)
        _write(temporary / "state.json", json.dumps(state).encode())
        shutil.rmtree(self.old, ignore_errors=True)
        if self.folder.exists():
            self.folder.rename(self.old)
        temporary.rename(self.folder)
        shutil.rmtree(self.old, ignore_errors=True)

    def resume(self, learner: Learner) -> bool:
        """Put back the last checkpoint of the same key; say whether there was one."""
        found = self.read()
        if found is None:
            return False
        state, tensors = found
        alive = state["courses"]["alive"]
        if not alive:
            return False
        here = [place for place, i in enumerate(learner.courses.alive) if i in alive]
        if len(here) < len(learner.population):
            learner.population.keep(here)
            learner.optimizer.keep(here)
        learner.population.load_state_dict(part_of(tensors, "population."))
        learner.optimizer.load_tensors(part_of(tensors, "optimizer."), steps=state["steps"])
        learner.courses.load(state["courses"], part_of(tensors, "best."))
        learner.epoch = state["epoch"]
        return True

    def read(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """Return the last whole checkpoint of the same key: its JSON part and its tensors."""
        return self._read(self.folder) or self._read(self.old)

    def _read(self, folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        try:
            state = json.loads((folder / "state.json").read_bytes())
            content = (folder / "state.safetensors").read_bytes()
            same = (state["key"], state["rng"]) == (self.key, RNG)
            if not same or hashlib.sha256(content).hexdigest() != state["sha256"]:
                return None
            return state, load(content)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            return None  # absent or damaged: the training starts over

    def clear(self) -> None:
        """Remove the checkpoint of a finished training."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.old, ignore_errors=True)


def part_of(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin so, without that beginning."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
