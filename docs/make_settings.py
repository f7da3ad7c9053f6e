"""Write docs/settings.md from the settings' own docstrings: `python docs/make_settings.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flows.spec import Spec

HEAD = """# Settings

One TOML file. Unknown keys, contradictions and impossible values are refused with file, line, key,
what was found and the nearest right name. `penstock schema` prints the JSON schema.
Relative paths start at the folder of the settings. This page is made by `docs/make_settings.py`.
"""

SECTIONS = (
    ("", "Spec"),
    ("data", "DataSpec"),
    ('data.columns."name"', "ColumnSpec"),
    ("data.http", "HttpSpec"),
    ("split", "SplitSpec"),
    ("leaks", "LeaksSpec"),
    ("features", "FeaturesSpec"),
    ("features.reduce", "ReduceSpec"),
    ("train", "TrainSpec"),
    ("sweep", "SweepSpec"),
    ("sweep.space", "SpaceSpec"),
    ("execution", "ExecutionSpec"),
    ("decision", "DecisionSpec"),
    ("gate", "GateSpec"),
    ("keep", "KeepSpec"),
    ("schedule", "ScheduleSpec"),
    ("servers", "ServersSpec"),
)


def page() -> str:
    """Return the page."""
    schema = Spec.model_json_schema()
    definitions = {"Spec": schema, **schema["$defs"]}
    parts = [HEAD]
    for title, name in SECTIONS:
        body = definitions[name]
        parts.append(f"\n## {f'[{title}]' if title else 'Top level'}\n\n{body['description']}\n")
        parts.append("| key | default | meaning |\n|---|---|---|")
        required = body.get("required", [])
        for key, field in body["properties"].items():
            if "$ref" in field or key in ("path", "decision", "sweep", "space", "reduce"):
                continue
            text = " ".join(field.get("description", "").split()).replace("|", "\\|")
            parts.append(f"| `{key}` | {_default(key, field, required)} | {text} |")
    return "\n".join(parts) + "\n"


def _default(key: str, field: dict[str, Any], required: list[str]) -> str:
    if key in required:
        return "required"
    value = field.get("default")
    if value is None:
        return ""
    return f"`{json.dumps(value, ensure_ascii=False)}`"


if __name__ == "__main__":
    (Path(__file__).parent / "settings.md").write_text(page(), encoding="utf-8")
