"""What the settings say of a single column: how its cells are read, and what it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flows.spec import Spec


def reading_of(spec: Spec, name: str) -> tuple[dict[str, Any], str | None]:
    """Return the reading options that the settings give a column, and its kind if they do."""
    data = spec.data
    options = data.columns.get(name)
    entry: dict[str, Any] = {
        "name": name,
        "missing": [*data.missing, *(options.missing if options else ())],
        "decimal": (options and options.decimal) or data.decimal,
        "thousands": (options and options.thousands) or data.thousands,
    }
    if options:
        extra: dict[str, Any] = {"format": options.format, "unit": options.unit}
        extra |= {"true": [*options.true], "false": [*options.false]}
        extra["replace"] = dict(options.replace)
        entry |= {key: value for key, value in extra.items() if value}
    kind = options.kind if options and options.kind != "ignored" else None
    if kind is None and "format" in entry:
        kind = "date"
    elif kind is None and ("true" in entry or "false" in entry):
        kind = "boolean"
    return entry, kind


def role_of(spec: Spec, name: str) -> str:
    """Return what a column is for, as the settings say."""
    data = spec.data
    if name == data.target:
        return "target"
    if name in data.drop:
        return "ignored"
    roles = {data.group: "group", data.time: "time", data.weight: "weight"}
    return "id" if name in data.id else roles.get(name, "feature")
