"""Write docs/summary.md from docs/summary.schema.json: `python docs/make_summary.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
HEAD = """# summary.json

Every run leaves `runs/<id>/summary.json` in its home, however it ended; `penstock run --json` prints
the same object with one key more, `folder`: where it lies. [`summary.example.json`](summary.example.json)
is one of `examples/deliveries.toml` with a sweep, its lists cut; [`summary.schema.json`](summary.schema.json)
is the JSON schema, and this page is made from it by `docs/make_summary.py`. Tests hold all three to
what runs write. A key of the first level is always there; what a run did not come to is null, empty
or absent below it. Times are UTC in ISO 8601, numbers are numbers, and names are in any script.

| key | type | meaning |
|---|---|---|
"""


def page() -> str:
    """Return the page."""
    schema = json.loads((HERE / "summary.schema.json").read_text("utf-8"))
    rows = [f"| `{key}` | {kind} | {text} |" for key, kind, text in _rows(schema, schema, "")]
    return HEAD + "\n".join(rows) + "\n"


def _rows(body: dict[str, Any], whole: dict[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    """Yield key, type and meaning of everything inside an object or a list."""
    if "$ref" in body:
        body = {**whole["$defs"][body["$ref"].rpartition("/")[2]], **body}
    if path and "description" in body:
        yield path, _kind(body), body["description"].replace("|", "\\|")
    for name, inner in body.get("properties", {}).items():
        yield from _rows(inner, whole, f"{path}.{name}".lstrip("."))
    inner = body.get("additionalProperties")
    if isinstance(inner, dict) and inner:
        yield from _rows(inner, whole, f"{path}.{body.get('x-name', '<name>')}")
    if isinstance(body.get("items"), dict):
        yield from _rows(body["items"], whole, f"{path}[]")


def _kind(body: dict[str, Any]) -> str:
    kind = body.get("type", "")
    return ", ".join(kind) if isinstance(kind, list) else kind


if __name__ == "__main__":
    (HERE / "summary.md").write_text(page(), encoding="utf-8")
