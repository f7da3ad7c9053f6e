"""The contract of a table: what must be true of it before anything is learned from it.

- A reviewed TOML file per data set; `contract_toml.py` reads and writes it.
- Schema, kind, target and emptiness rules are critical at once; ranges, levels, lengths and
  missing shares only warn until a person sets `accepted = true`, or writes a severity by hand.
- Row rules (`row_rules`) have ids `<column>.<type>` and are the same in ingest and in the served
  model; what they forbid diverts rows. Everything else is judged on the whole table.
- It constrains and never parameterises: no vocabulary, bin or selection is taken from it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from expectations.column import Column, Part, Role, RuleType, Severity, Texts, as_tuple

if TYPE_CHECKING:
    from pathlib import Path

ALWAYS_CRITICAL = ("present",)


class Custom(Part):
    """One Great Expectations expectation by its own name; `[[expectations]]`."""

    type: Annotated[str, Field(min_length=1)]
    """Its name, such as "expect_column_mean_to_be_between"."""
    kwargs: dict[str, Any] = Field(default_factory=dict)
    """Its arguments, as Great Expectations documents them."""
    severity: Severity = "critical"
    """`critical` refuses the table, `warning` is reported."""
    note: str = ""
    """For people: why it is so. Not part of the digest."""


class Contract(Part):
    """All rules of one table; immutable, self-checking, diffable.

    Making one raises ValueError (pydantic's) where rules contradict each other.
    """

    version: Literal[1] = 1
    """Version of this file format."""
    accepted: bool = False
    """Whether a person has read the proposed ranges, levels and shares: they then bind."""
    extra: Literal["warn", "error", "ignore"] = "warn"
    """What to do about columns that this file does not name; they are never features."""
    min_rows: Annotated[int, Field(ge=1)] = 20
    """Fewest rows of a table worth learning from."""
    unique: Texts = ()
    """Columns that together identify a row: no two rows may share their values."""
    unique_severity: Severity | None = None
    """Left out: warns until accepted."""
    columns: dict[str, Column]
    """By exact name."""
    expectations: Annotated[tuple[Custom, ...], BeforeValidator(as_tuple)] = ()
    """Judged on the whole table."""

    @model_validator(mode="after")
    def _consistent(self) -> Contract:
        for role in ("target", "group", "time", "weight"):
            names = [name for name, column in self.columns.items() if column.role == role]
            if len(names) > 1 or (role == "target" and not names):
                found = ", ".join(repr(n) for n in names) or "none"
                least = "exactly" if role == "target" else "at most"
                raise ValueError(f'{least} one column must have role = "{role}", found {found}')
        for name in self.unique:
            if name not in self.columns:
                raise ValueError(f"unique must name columns of this contract, found {name!r}")
        return self

    @property
    def target(self) -> str:
        """Name of the column to be predicted."""
        return next(name for name, column in self.columns.items() if column.role == "target")

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the feature columns, in the file's order."""
        return tuple(n for n, column in self.columns.items() if column.role == "feature")

    def severity(self, name: str, rule: RuleType) -> Severity:
        """Return the severity of a column's rule: by hand, else by acceptance."""
        by_hand = self.columns[name].severity
        if isinstance(by_hand, Mapping):
            by_hand = by_hand.get(rule)
        if by_hand is not None and (rule not in ALWAYS_CRITICAL or rule in self._single(name)):
            return by_hand
        return "critical" if self.accepted or rule in ALWAYS_CRITICAL else "warning"

    def _single(self, name: str) -> Mapping[RuleType, Severity]:
        by_hand = self.columns[name].severity
        return by_hand if isinstance(by_hand, Mapping) else {}

    def row_rules(self, *roles: Role) -> list[dict[str, Any]]:
        """Return the rules that judge single rows, as the reading schema holds them.

        Args:
            roles: of which columns; left out: features (what the served model judges).

        Returns:
            Plain JSON dicts: id `<column>.<type>`, column, type, severity, and for `range` min,
            max (numbers, or ISO text for dates), strict_min, strict_max; for `levels` levels; for
            `length` max. The rule `<column>.type` is not listed: it always holds and is critical.

        """
        rules = []
        for name, column in self.columns.items():
            if column.role not in (roles or ("feature",)) or column.kind == "ignored":
                continue
            for rule, values in column.row_rules():
                severity = self.severity(name, rule)
                head = {"id": f"{name}.{rule}", "column": name, "type": rule, "severity": severity}
                rules.append(head | values)
        return rules

    def with_roles(self, roles: Mapping[str, str]) -> Contract:
        """Return the contract with the settings' roles; raises ValueError for another target."""
        target = next((name for name, role in roles.items() if role == "target"), self.target)
        if target != self.target:
            msg = f"the settings' target is {target!r}, the contract's is {self.target!r}"
            raise ValueError(msg)
        columns = {n: c.model_dump(exclude_unset=True) for n, c in self.columns.items()}
        for name, role in roles.items():
            if name in columns:
                columns[name]["role"] = role
        values = {**self.model_dump(exclude_unset=True), "columns": columns}
        try:
            return Contract.model_validate(values)
        except ValidationError as error:
            from expectations.contract_toml import problems_of

            said = "; ".join(f"{'.'.join(keys)}: {what}" for keys, what in problems_of(error))
            msg = f"the settings' roles contradict the contract: {said}"
            raise ValueError(msg) from None

    def digest(self) -> str:
        """Return the SHA-256 (hex) of what the contract says, without notes."""
        values = self.model_dump(mode="json", exclude_defaults=True)
        for part in (*values["columns"].values(), *values.get("expectations", ())):
            part.pop("note", None)
        values["columns"] = list(values["columns"].items())  # the order of columns is content
        text = json.dumps(values, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @classmethod
    def load(cls, path: Path | str) -> Contract:
        """Read a contract file; ValueError names file, line, key and the nearest right name."""
        from expectations.contract_toml import load

        return load(path)

    def dump(self, path: Path | str) -> None:
        """Write the contract as a TOML file for people."""
        from expectations.contract_toml import dumps, write

        write(dumps(self), path)


def diff(old: Contract, new: Contract) -> list[str]:
    """Return what changed as short lines, such as `age.max: 120 -> 130`; [] where nothing did."""
    lines = []
    for name in ("accepted", "extra", "min_rows", "unique", "unique_severity"):
        lines += _changed(name, getattr(old, name), getattr(new, name))
    for name in dict.fromkeys([*old.columns, *new.columns]):
        before, after = old.columns.get(name), new.columns.get(name)
        if before is None or after is None:
            lines.append(f"{name}: column {'added' if before is None else 'removed'}")
            continue
        for field in Column.model_fields:
            if field != "note":
                was, now = getattr(before, field), getattr(after, field)
                lines += _changed(f"{name}.{field}", was, now)
    if list(old.columns) != list(new.columns) and set(old.columns) == set(new.columns):
        lines.append("the order of columns changed")
    gone = [e.type for e in old.expectations if e not in new.expectations]
    came = [e.type for e in new.expectations if e not in old.expectations]
    lines += [f"expectation removed: {e}" for e in gone] + [f"expectation added: {e}" for e in came]
    return lines


def _changed(name: str, was: Any, now: Any) -> list[str]:
    if was == now:
        return []
    if isinstance(was, tuple) and isinstance(now, tuple):
        gone, came = [v for v in was if v not in now], [v for v in now if v not in was]
        parts = [f"without {_short(gone)}"] * bool(gone) + [f"with {_short(came)}"] * bool(came)
        return [f"{name}: {', '.join(parts) or 'another order'}"]
    return [f"{name}: {_said(was)} -> {_said(now)}"]


def _said(value: Any) -> str:
    return "none" if value is None else _short(value) if isinstance(value, tuple) else str(value)


def _short(values: Any) -> str:
    shown = ", ".join(str(v) for v in values[:5])
    return shown + (f" and {len(values) - 5} more" if len(values) > 5 else "")
