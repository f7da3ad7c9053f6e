"""JSON files of stages and people: readable, any script, no NaN; whole or not at all."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def read_json(path: Path) -> Any:
    """Read a JSON file that a stage wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write JSON for stages and people: readable, any script, no NaN; whole or not at all."""
    text = json.dumps(value, ensure_ascii=False, indent=1, default=str, allow_nan=False)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(path)
