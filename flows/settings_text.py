"""A proposed settings file as text: short, commented, only what matters or differs from defaults."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from expectations.failure import shown


@dataclass(kw_only=True)
class Draft:
    """Keys by section, each with the reason that becomes its comment."""

    head: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    split: dict[str, Any] = field(default_factory=dict)
    sweep: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    """`[data.columns."name"]` by column."""
    why: dict[str, str] = field(default_factory=dict)
    """Comment by dotted key, such as `data.id` or `columns.age`."""
    remarks: list[str] = field(default_factory=list)
    """Sentences for the end of the file: what was seen and left to the person."""
    looked_at: str = ""
    """How much of a large source was looked at; empty: all of it."""

    def values(self) -> dict[str, Any]:
        """Return the settings as the reader of TOML would."""
        data = {**self.data, **({"columns": self.columns} if self.columns else {})}
        given = {"split": self.split, "sweep": self.sweep}
        return {**self.head, "data": data, **{name: keys for name, keys in given.items() if keys}}

    def text(self) -> str:
        """Return the file."""
        lines = ["# Proposed by `penstock init`; every line is yours to change."]
        lines += [*_comment(self.looked_at), ""]
        lines += self._keys(self.head, "")
        lines += ["", "[data]", *self._keys(self.data, "data.")]
        if self.split:
            lines += ["", "[split]", *self._keys(self.split, "split.")]
        for name, options in self.columns.items():
            lines += ["", f"[data.columns.{key_text(name)}]"]
            lines += _comment(self.why.get(f"columns.{name}", ""))
            lines += [f"{key} = {value_text(value)}" for key, value in options.items()]
        if self.sweep:
            lines += ["", "[sweep]", *self._keys(self.sweep, "sweep.")]
        if self.remarks:
            lines += ["", "# Seen and left to you:"]
            lines += [line for remark in self.remarks for line in _comment(f"- {remark}")]
        return "\n".join(lines) + "\n"

    def _keys(self, values: dict[str, Any], prefix: str) -> list[str]:
        lines: list[str] = []
        for key, value in values.items():
            why = self.why.get(prefix + key, "")
            line = f"{key_text(key)} = {value_text(value)}"
            if why and len(line) + len(why) < 90 and "\n" not in line + why:
                lines.append(f"{line}  # {_printable(why)}")
            else:
                lines += [*_comment(why), line]
        return lines


def key_text(name: str) -> str:
    """Return a TOML key, quoted where it must be."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else value_text(name)


def value_text(value: Any) -> str:
    """Return a TOML value: text, numbers, booleans, lists and inline tables."""
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key_text(k)} = {value_text(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        items = [value_text(item) for item in value]
        line = f"[{', '.join(items)}]"
        if len(line) <= 88:
            return line
        return "[\n" + "".join(f"    {row},\n" for row in _rows(items)) + "]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _rows(items: list[str]) -> list[str]:
    """Return items as lines of at most 84 characters."""
    rows = [""]
    for item in items:
        longer = f"{rows[-1]}, {item}" if rows[-1] else item
        if rows[-1] and len(longer) > 84:
            rows.append(item)
        else:
            rows[-1] = longer
    return rows


def _comment(text: str) -> list[str]:
    """Return sentences, one per line, as comment lines; nothing they quote can end the comment."""
    import textwrap

    wrapped = [line for part in text.splitlines() for line in textwrap.wrap(_printable(part), 96)]
    return [f"# {line}" for line in wrapped]


def _printable(text: str) -> str:
    return shown(text, 500)
