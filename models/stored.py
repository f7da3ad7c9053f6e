"""A training table on disk, for processes that train beside the one that made it.

- Arrays as safetensors, texts as JSON: no pickle. Read back it is the very table; a file's pages
  are read when they are needed, and shared by all processes that map it.
- What the encoder learned goes along: an imputer is not trained again in every process.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from models.encode import Columns, Encoder, TrainingTable
from models.fit import Encoded, encode
from models.outliers import Outliers
from models.room import Room
from models.settings import TrainSettings
from models.texts import Texts

if TYPE_CHECKING:
    from pathlib import Path

ARRAYS = ("target", "weight", "fold")


def save_table(encoded: Encoded, settings: TrainSettings, folder: Path) -> None:
    """Write the table and how it was made ready; a folder that is whole is left as it is."""
    facts = folder / "table.json"
    if facts.is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    table = encoded.table
    arrays = {name: torch.from_numpy(np.ascontiguousarray(getattr(table, name))) for name in ARRAYS}
    texts = Texts.of(table.categories)
    for name, array in (("numbers", table.numbers), ("codes", texts.codes)):  # column by column
        arrays[name] = torch.from_numpy(np.ascontiguousarray(array.T))
    outliers = table.outliers
    if outliers is not None:
        arrays["outliers"] = torch.from_numpy(outliers.rows)
    learned = {f"encoder.{k}": v.contiguous() for k, v in encoded.encoder.state_dict().items()}
    save_file({**arrays, **learned}, folder / "table.safetensors")
    described = {
        "columns": asdict(table.columns),
        "classes": table.classes,
        "words": [words.tolist() for words in texts.words],
        "settings": asdict(settings),
        "encoder": encoded.encoder.describe(),
        "outliers": None if outliers is None else {**vars(outliers), "rows": None},
    }
    draft = folder / ".table.json"
    draft.write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
    draft.replace(facts)


def load_table(folder: Path) -> Encoded:
    """Read what `save_table` wrote and make it ready as it was."""
    described = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    tensors = load_file(folder / "table.safetensors")
    arrays = {name: tensors[name].numpy() for name in ARRAYS}
    words = tuple(np.array(each, dtype=object) for each in described["words"])
    columns = {name: tuple(names) for name, names in described["columns"].items()}
    outliers = described["outliers"]
    if outliers is not None:
        outliers = Outliers(**{**outliers, "rows": tensors["outliers"].numpy()})
    table = TrainingTable(
        **arrays,
        numbers=tensors["numbers"].numpy().T,
        categories=Texts(tensors["codes"].numpy().T, words),
        columns=Columns(**columns),
        classes=described["classes"],
        outliers=outliers,
    )
    prefix = "encoder."
    learned = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    encoder = Encoder.restore(described["encoder"], learned)
    # Several processes hold these side by side: of mapped files the system may let pages go.
    room = Room(folder, limit=0)
    return encode(table, TrainSettings(**described["settings"]), encoder=encoder, room=room)
