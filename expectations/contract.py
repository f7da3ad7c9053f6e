"""The contract of a table: what must be true of it before anything is learned from it.

- A reviewed TOML file per data set; `contract_toml.py` reads and writes it.
- Schema, kind, target and emptiness rules are critical at once; ranges, levels, lengths and
  missing shares only warn until a person accepts them (`penstock contract accept`), or writes a
  severity by hand.
- Row rules have ids `<column>.<type>` or `check.<id>` and are the same in ingest (`row_rules`) and
  in the served model (`serving_rules`), except for those that apply to one of them alone; what
  they forbid diverts rows. Everything else is judged on the whole table.
- It constrains and never parameterises: no vocabulary, bin or selection is taken from it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from expectations.acceptance import Acceptance
from expectations.column import Applies, Column, Role, RuleType, Severity
from expectations.cross import Rule
from expectations.history import Freshness, History
from expectations.part import Part, Texts, as_tuple

if TYPE_CHECKING:
    from pathlib import Path

ALWAYS_CRITICAL = ("present",)
UNDIGESTED = ("note", "proposed")
"""What says nothing that binds."""


class Custom(Part):
    """One Great Expectations expectation by its own name; `[[expectations]]`."""

    type: Annotated[str, Field(min_length=1)]
    """Its name or its class, such as "expect_column_mean_to_be_between"."""
    kwargs: dict[str, Any] = Field(default_factory=dict)
    """Its arguments, as Great Expectations documents them."""
    severity: Severity = "critical"
    """`critical` refuses the table, `warning` is reported."""
    note: str = ""
    """For people: why it is so. Not part of the digest."""

    @property
    def name(self) -> str:
        """Its name, of a class too: ExpectColumnMeanToBeBetween is expect_column_mean_to_be_between."""
        words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", self.type)
        return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words).lower()


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
    max_rows: Annotated[int, Field(ge=1)] | None = None
    """Most rows of a table; left out: any number."""
    history: History | None = None
    """How many rows are told from earlier runs; `[history]`."""
    freshness: Freshness | None = None
    """How new the newest row must be; `[freshness]`."""
    columns: dict[str, Column]
    """By exact name."""
    rules: Annotated[tuple[Rule, ...], BeforeValidator(as_tuple)] = ()
    """Over several columns of a row; `[[rules]]`."""
    expectations: Annotated[tuple[Custom, ...], BeforeValidator(as_tuple)] = ()
    """Judged on the whole table."""
    acceptances: Annotated[tuple[Acceptance, ...], BeforeValidator(as_tuple)] = ()
    """Who accepted what, the newest last; `[[acceptances]]`. Not part of the digest."""

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
        ids = [rule.resolved(self.columns)["id"] for rule in self.rules]
        if twice := [one for one in ids if ids.count(one) > 1]:
            raise ValueError(f"rules must have ids of their own, found {twice[0]!r} twice")
        fresh = self.freshness.column if self.freshness else None
        if fresh is not None and fresh not in self.columns:
            raise ValueError(f"freshness.column must be of this contract, found {fresh!r}")
        if self.max_rows is not None and self.max_rows < self.min_rows:
            raise ValueError(f"max_rows must be at least min_rows, found {self.max_rows}")
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
        binds = rule in ALWAYS_CRITICAL or self.binds(name, rule)
        return "critical" if binds else "warning"

    def binds(self, name: str, rule: RuleType) -> bool:
        """Whether a person has accepted a column's rule."""
        said = self.columns[name].accepted
        said = said.get(rule) if isinstance(said, Mapping) else said
        return self.accepted if said is None else said

    def severity_of(self, part: History | Freshness) -> Severity:
        """Return the severity of a rule about earlier runs: by hand, else by acceptance."""
        binds = self.accepted if part.accepted is None else part.accepted
        return part.severity or ("critical" if binds else "warning")

    @property
    def unique_rule(self) -> Severity:
        """The severity of `unique`: by hand, else by acceptance."""
        return self.unique_severity or ("critical" if self.accepted else "warning")

    @property
    def number(self) -> int:
        """How often it was accepted: the version of its rules; 0: never."""
        return self.acceptances[-1].version if self.acceptances else 0

    @property
    def edited(self) -> bool:
        """Whether its rules were changed by hand since they were last accepted."""
        return bool(self.acceptances) and self.acceptances[-1].digest != self.digest()

    def _single(self, name: str) -> Mapping[RuleType, Severity]:
        by_hand = self.columns[name].severity
        return by_hand if isinstance(by_hand, Mapping) else {}

    def row_rules(self, *roles: Role) -> list[dict[str, Any]]:
        """Return the rules that judge single rows at ingest.

        Args:
            roles: of which columns; left out: features.

        Returns:
            Plain JSON dicts: id, column, type, severity, and for `range` min, max (numbers, or
            ISO text for dates), strict_min, strict_max; for `levels` levels; for `length` min, max;
            for `pattern` and `alphabet` pattern; for `check` columns, text, when, then. The rule
            `<column>.type` is not listed: it always holds and is critical.

        """
        return self._row_rules("training", roles or ("feature",))

    def serving_rules(self) -> list[dict[str, Any]]:
        """Return the rules that the served model judges, in the same form: those of features."""
        return self._row_rules("serving", ("feature",))

    def _row_rules(self, place: Applies, roles: tuple[Role, ...]) -> list[dict[str, Any]]:
        rules = []
        known = {n for n, c in self.columns.items() if c.role in roles and c.kind != "ignored"}
        for name in (n for n in self.columns if n in known):
            column = self.columns[name]
            for rule, values in column.row_rules():
                severity = self.severity(name, rule)
                head = {"id": f"{name}.{rule}", "column": name, "type": rule, "severity": severity}
                if column.applies_to(rule, place):
                    rules.append(head | values)
        checks = [r.resolved(self.columns) for r in self.rules if r.applies in ("both", place)]
        return rules + [check for check in checks if known.issuperset(check["columns"])]

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

    def binding(self) -> Contract:
        """Return the contract without what binds nobody: what is proposed, who accepted what."""
        plain = {n: c.model_copy(update={"proposed": None}) for n, c in self.columns.items()}
        return self.model_copy(update={"columns": plain, "acceptances": ()})

    def digest(self) -> str:
        """Return the SHA-256 (hex) of what the contract says, without notes."""
        values = self.model_dump(mode="json", exclude_defaults=True, exclude={"acceptances"})
        parts = [
            *values["columns"].values(),
            *values.get("rules", ()),
            *values.get("expectations", ()),
        ]
        for part in parts:
            for name in UNDIGESTED:
                part.pop(name, None)
        values["columns"] = list(values["columns"].items())  # the order of columns is content
        text = json.dumps(values, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @classmethod
    def load(cls, path: Path | str) -> Contract:
        """Read a contract file; ValueError names file, line, key and the nearest right name."""
        from expectations.contract_toml import load

        return load(path)

    def dump(self, path: Path | str, comments: Mapping[tuple[str, str], str] | None = None) -> None:
        """Write the contract as a TOML file for people; comments by column and key."""
        from expectations.contract_text import dumps, write

        write(dumps(self, comments or {}), path)
