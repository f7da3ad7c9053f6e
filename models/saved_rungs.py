"""The ladder's rungs on disk, as the training fitted them, so that nobody has to fit them again.

- Arrays as safetensors, the rest as JSON; with the rows that each was judged on, by position.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load_file, save_file

from models.rungs import FittedRung, answers, restore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ARRAYS, FACTS = "rungs.safetensors", "rungs.json"


@dataclass(frozen=True, kw_only=True)
class Rungs:
    """Fitted rungs; `rows` (N,) says whose answers `validation` of each holds.

    `log`: whether they learned log(1 + y), as the networks did.
    """

    fitted: Sequence[FittedRung]
    rows: np.ndarray
    log: bool

    def validation(self, rung: FittedRung, rows: np.ndarray) -> np.ndarray:
        """What the folds that had not seen them said of `rows` (n,): (n, K), or (n,) values."""
        order = np.argsort(self.rows, kind="stable")
        said = rung.validation[order[np.searchsorted(self.rows[order], rows)]]
        return np.expm1(said) if self.log else said

    def test(self, rung: FittedRung, numbers: np.ndarray, categories: np.ndarray) -> np.ndarray:
        """What all folds together say of other rows: (M, K) probabilities, or (M,) values."""
        if rung.form is None:
            raise ValueError(f"the rung {rung.name} must have a form to answer: {rung.reason}")
        said = answers(rung.form, numbers, categories)
        return np.expm1(said) if self.log else said


def save_rungs(rungs: Rungs, folder: Path) -> None:
    """Write them into an existing folder."""
    arrays = {"rows": np.ascontiguousarray(rungs.rows)}
    facts = []
    for place, rung in enumerate(rungs.fitted):
        arrays[f"{place}.validation"] = np.ascontiguousarray(rung.validation)
        if rung.form is not None:
            own = rung.form.tensors()
            arrays |= {f"{place}.form.{k}": np.ascontiguousarray(v) for k, v in own.items()}
        form = None if rung.form is None else rung.form.describe()
        facts.append(
            {"name": rung.name, "seconds": rung.seconds, "reason": rung.reason, "form": form}
        )
    save_file(arrays, folder / ARRAYS)
    described = {"log": rungs.log, "rungs": facts}
    (folder / FACTS).write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")


def load_rungs(folder: Path) -> Rungs:
    """Read what `save_rungs` wrote."""
    described = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    arrays = load_file(folder / ARRAYS)
    fitted = []
    for place, each in enumerate(described["rungs"]):
        prefix = f"{place}.form."
        own = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        fitted.append(
            FittedRung(
                name=each["name"],
                form=restore(each["form"], own) if each["form"] else None,
                validation=arrays[f"{place}.validation"],
                seconds=each["seconds"],
                reason=each["reason"],
            )
        )
    return Rungs(fitted=fitted, rows=arrays["rows"], log=described["log"])
