"""What derived columns may be: which roles they take, and which would hand the model its target.

- A feature made from the target is refused: a row to be scored has none.
- Columns that define a derived target must not all be features: the model would learn the formula.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.derive import formulas, sources
from flows.section import refuse

if TYPE_CHECKING:
    from flows.data_spec import DataSpec


def check_roles(data: DataSpec) -> None:
    """Refuse derived columns in roles that they cannot have."""
    for name in data.derive:
        for role, columns in _in_source(data).items():
            if name in columns:
                refuse(f"data.{role}", f"must be a column of the source, {name!r} is derived")
    known = formulas(data.derive)
    for formula in known:
        if formula.name == data.target or formula.name in data.drop:
            continue
        if data.target in sources(known, formula.name) or data.target in formula.uses:
            message = f"uses the target {data.target!r}, which rows to be scored do not have"
            refuse(f"data.derive.{formula.name}", f"{message}; add it to data.drop, or change it")
    defining = behind_target(data)
    if defining and defining <= visible(data) and not defining <= set(data.keep):
        listed = ", ".join(map(repr, sorted(defining)))
        message = (
            f"is made from {listed} alone, which the features have too: a model would only learn "
            "the formula; add what is not known when a row is scored to data.drop, or name all of "
            "them in data.keep"
        )
        refuse(f"data.derive.{data.target}", message)


def behind_target(data: DataSpec) -> set[str]:
    """Return the source's columns that a derived target is made from; none where it is not."""
    return set(sources(data.formulas, data.target)) if data.target in data.derive else set()


def visible(data: DataSpec) -> set[str]:
    """Return those of them that the features give away, as they are or inside another formula."""
    hidden = {*data.drop, data.target, *(n for names in _in_source(data).values() for n in names)}
    known = data.formulas
    inside = [set(sources(known, f.name)) for f in known if f.name not in hidden]
    return {
        name
        for name in behind_target(data)
        if name not in hidden or any(name in found for found in inside)
    }


def risky(data: DataSpec) -> list[str]:
    """Return a warning for each column that a derived target is made from and a feature has."""
    return [
        f"{name!r} is a feature and the target {data.target!r} is made from it: a leak unless it is "
        "known when a row is scored; add it to data.drop, or to data.keep"
        for name in sorted(visible(data) - set(data.keep))
    ]


def _in_source(data: DataSpec) -> dict[str, tuple[str, ...]]:
    single = {"group": data.group, "time": data.time, "weight": data.weight}
    return {"id": data.id} | {role: (name,) for role, name in single.items() if name}
