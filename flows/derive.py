"""`[data.derive]`: formulas checked before anything is read, and what they need.

- A formula is an expression over the columns of one row: arithmetic, comparisons, and/or/not and
  the functions of `flows/formula_functions.py`, as `abs(x)` or `x.abs()`, `x.str.len()`, `x.dt.hour`.
- Nothing looks at other rows (a mean, a rank, a shift): that would have to be learned.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flows.formula_check import Check
from flows.formula_parse import FormulaError, names_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, kw_only=True)
class Formula:
    """One derived column."""

    name: str
    expression: str
    result: str
    """number, boolean or text."""
    uses: dict[str, str | None] = field(default_factory=dict)
    """Columns as written, and what each must hold: number, boolean, text, date; None: anything."""

    @property
    def kind(self) -> str:
        """The kind of the column that it makes."""
        return "category" if self.result == "text" else self.result

    def entry(self, **more: Any) -> dict[str, Any]:
        """Return what a reading schema holds of it."""
        entry = {"name": self.name, "expression": self.expression, "result": self.result}
        return entry | {"kind": self.kind, "uses": list(self.uses)} | more


def formulas(derive: Mapping[str, str]) -> list[Formula]:
    """Check all formulas and return them so that each comes after those that it uses.

    Raises:
        FormulaError: a formula is no expression, calls what is not known, or uses itself in the end.

    """
    done: dict[str, Formula] = {}
    waiting = dict(derive)
    while waiting:
        ready = [n for n, text in waiting.items() if not (names_in(n, text) & set(waiting))]
        if not ready:
            name = next(iter(waiting))
            listed = ", ".join(waiting)
            raise FormulaError(
                name, f"formulas must not use each other in a circle, found {listed}"
            )
        for name in ready:
            text = waiting.pop(name)
            check = Check(name, text, {known: formula.result for known, formula in done.items()})
            result = check.result()
            done[name] = Formula(name=name, expression=text, result=result, uses=check.uses)
    return list(done.values())


def sources(known: Iterable[Formula], name: str) -> dict[str, str | None]:
    """Return the source's columns behind a column, through formulas, and what each must hold."""
    by_name = {formula.name: formula for formula in known}
    found: dict[str, str | None] = {}

    def follow(column: str, need: str | None) -> None:
        if column not in by_name:
            found[column] = found.get(column) or need
            return
        for used, wanted in by_name[column].uses.items():
            follow(used, wanted)

    follow(name, None)
    return found


def chain(known: Iterable[Formula], names: Iterable[str]) -> list[Formula]:
    """Return the formulas of `names` and those that they rest on, in order."""
    by_name = {formula.name: formula for formula in known}
    wanted: set[str] = set()
    stack = [name for name in names if name in by_name]
    while stack:
        name = stack.pop()
        if name not in wanted:
            wanted.add(name)
            stack += [used for used in by_name[name].uses if used in by_name]
    return [formula for formula in by_name.values() if formula.name in wanted]


def feature_kinds(schema: Mapping[str, Any]) -> dict[str, str]:
    """Return the features of a reading schema with their kinds, derived ones last.

    A column that is read only because a formula needs it is none, and neither is a formula that
    only other formulas use.
    """
    raw = {str(e["name"]): str(e["kind"]) for e in schema["columns"] if not e.get("source")}
    made = {str(f["name"]): str(f["kind"]) for f in schema.get("formulas", ()) if f["feature"]}
    return raw | made


def narrowed(schema: Mapping[str, Any], dropped: Iterable[str]) -> dict[str, Any]:
    """Return columns and formulas without dropped features; what formulas rest on stays, unused."""
    gone = set(dropped)
    kept = [f for f in schema.get("formulas", ()) if f["name"] not in gone or f["needed"]]
    needed = {name for formula in kept for name in formula["uses"]}
    columns = [
        {**entry, "source": True} if entry["name"] in gone else entry
        for entry in schema["columns"]
        if entry["name"] not in gone or entry["name"] in needed
    ]
    marked = [{**f, "feature": f["feature"] and f["name"] not in gone} for f in kept]
    return {"columns": columns} | ({"formulas": marked} if "formulas" in schema else {})
