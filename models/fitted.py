"""What a training leaves: encoder, population with best weights, target scale, records, predictions.

- Saved as `members.safetensors` and `fitted.json`; no pickle, no module path.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from models.course import MemberRecord
from models.encode import Encoder
from models.objective import Target
from models.population import Population

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

TENSORS, FACTS = "members.safetensors", "fitted.json"


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A trained population.

    Attributes:
        population: best weights of every member whose setting is whole, setting by setting, fold
            by fold: the member of setting s and fold f is at s * F + f.
        encoder: learned columns, F folds.
        target: raw outputs -> values of the target (regression).
        members: a record of every member that was started, the failed ones included.
        classes: number of classes K, 0 for regression.
        validation: raw predictions of every judged row by the members that did not train on it:
            logits (S, N, K), or values in target units (S, N); NaN on rows that only train.
        facts: plan, seconds, epochs run, counts (JSON).
    """

    population: Population
    encoder: Encoder
    target: Target
    members: list[MemberRecord]
    classes: int
    validation: np.ndarray
    facts: dict[str, Any]

    @property
    def settings(self) -> int:
        """The number S of settings (seeds) that are whole."""
        return len(self.validation)

    @property
    def folds(self) -> int:
        """The number F of folds."""
        return len(self.target.mean)

    def outputs(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Float64 (N, n), int64 (N, c) -> logits (P, N, K), or values (P, N) in target units."""
        raw = self.population(*self.encoder(numbers, codes))
        return raw if self.classes else self.target(raw, self.population.fold)

    def predict(self, numbers: np.ndarray, categories: np.ndarray, rows: int = 8192) -> np.ndarray:
        """Typed arrays (N, n) and (N, c) of str -> outputs of every member as numpy, in chunks."""
        parts = []
        with torch.inference_mode():
            for start in range(0, len(numbers), rows):
                part = slice(start, start + rows)
                codes = self.encoder.codes(categories[part])
                block = torch.from_numpy(np.asarray(numbers[part], dtype=np.float64))
                parts.append(self.outputs(block, codes).numpy())
        return np.concatenate(parts, axis=1)

    def save(self, directory: Path) -> None:
        """Write `members.safetensors` and `fitted.json` into an existing directory."""
        tensors = {
            **{f"population.{k}": v for k, v in self.population.state_dict().items()},
            **{f"encoder.{k}": v for k, v in self.encoder.state_dict().items()},
            **{f"target.{k}": v for k, v in self.target.state_dict().items()},
            "validation": torch.from_numpy(self.validation),
        }
        save_file({k: v.contiguous() for k, v in tensors.items()}, directory / TENSORS)
        described = {
            "population": self.population.describe(),
            "encoder": self.encoder.describe(),
            "target": {"log": self.target.log},
            "members": [asdict(m) for m in self.members],
            "classes": self.classes,
            "facts": self.facts,
        }
        text = json.dumps(finite(described), ensure_ascii=False, allow_nan=False)
        (directory / FACTS).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Fitted:
        """Read back what `save` wrote."""
        tensors = load_file(directory / TENSORS)
        described = json.loads((directory / FACTS).read_text(encoding="utf-8"))

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        target = part("target.")
        return cls(
            population=Population.restore(described["population"], part("population.")).eval(),
            encoder=Encoder.restore(described["encoder"], part("encoder.")),
            target=Target(target["mean"], target["scale"], log=described["target"]["log"]),
            members=[MemberRecord(**_infinite(m)) for m in described["members"]],
            classes=described["classes"],
            validation=tensors["validation"].numpy(),
            facts=described["facts"],
        )


def finite(value: Any) -> Any:
    """Replace numbers that JSON does not have by null."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _infinite(record: dict[str, Any]) -> dict[str, Any]:
    """Put infinity back where a record without a best epoch had it, and NaN into curves."""
    curves = {
        name: [np.nan if v is None else v for v in record[name]] for name in ("train", "validation")
    }
    best = np.inf if record["best"] is None else record["best"]
    return {**record, **curves, "best": best}
