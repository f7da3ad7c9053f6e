"""The formulas of `[data.derive]` in the reading schema: what is read for them, and what they make.

- Formulas behind features travel with the model: their columns are asked of every row to be scored.
- The target's formula, and what it alone needs, is training's business and never asked of a consumer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from flows.derive import chain, sources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from expectations.contract import Column, Contract
    from flows.derive import Formula
    from flows.spec import Spec


class ReadEntry(Protocol):
    """Says how a column is read."""

    def __call__(self, name: str, column: Column, /) -> dict[str, Any]:
        """Return the column's entry of the reading schema."""
        ...


def feature_parts(spec: Spec, contract: Contract, features: list[str], entry: ReadEntry) -> Any:
    """Return the columns to be read for features, and the formulas that make some of them."""
    known = spec.data.formulas
    made = [formula.name for formula in known]
    wanted = [name for name in features if name in made]
    formulas = chain(known, wanted)
    columns = [entry(name, contract.columns[name]) for name in features if name not in made]
    plain = {column["name"] for column in columns}
    for name, need in _sources(formulas, known).items():
        if name not in plain:
            columns.append(_source(contract, name, need, entry))
    entries = [
        formula.entry(
            kind=contract.columns[formula.name].kind if formula.name in wanted else formula.kind,
            feature=formula.name in wanted,
            needed=any(formula.name in other.uses for other in formulas),
        )
        for formula in formulas
    ]
    return columns, entries


def target_parts(spec: Spec, contract: Contract, entry: ReadEntry) -> dict[str, Any]:
    """Return what a derived target is made of: the columns to be read, and its formulas."""
    known = spec.data.formulas
    formulas = chain(known, [contract.target])
    if not formulas:
        return {}
    columns = [
        _source(contract, name, need, entry) for name, need in _sources(formulas, known).items()
    ]
    return {"target_sources": columns, "target_formulas": [f.entry() for f in formulas]}


def with_target(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return how target and roles are read: as a schema of their own."""
    made = schema.get("target_formulas", ())
    target = [] if made else [schema["target_column"]]
    entries = [*schema.get("target_sources", ()), *target, *schema.get("role_columns", ())]
    by_name = {entry["name"]: entry for entry in entries}
    kind = schema["target_column"]["kind"]
    last = [{**made[-1], "kind": kind}] if made else []
    return {
        "missing": schema.get("missing", []),
        "columns": list(by_name.values()),
        "formulas": [*made[:-1], *last],
    }


def truth_target(schema: Mapping[str, Any], raw: Any) -> bool:
    """Whether the target's labels are true and false, by its formula or the source's type."""
    if made := schema.get("target_formulas"):
        return bool(made[-1]["result"] == "boolean")
    return raw[schema["target"]].dtype.name in {"bool", "boolean"}


def _sources(formulas: list[Formula], known: tuple[Formula, ...]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for formula in formulas:
        for name, need in sources(known, formula.name).items():
            found[name] = found.get(name) or need
    return found


def _source(contract: Contract, name: str, need: str | None, entry: ReadEntry) -> dict[str, Any]:
    """Return how a column is read that only formulas use: as they need it."""
    from expectations.contract import Column

    kind = {"text": "category", None: "category"}.get(need, need) or "category"
    column = contract.columns.get(name)
    if column is None:
        column = Column(kind=kind, role="ignored")  # pyright: ignore[reportArgumentType]
    elif column.kind in ("ignored", "text") or (need and not _alike(column.kind, kind)):
        column = column.model_copy(update={"kind": kind})
    return entry(name, column) | {"source": True}


def _alike(kind: str, wanted: str) -> bool:
    numbers = ("number", "integer", "boolean")
    return kind == wanted or (kind in numbers and wanted in numbers)


def raw_columns(schema: Mapping[str, Any], names: list[str]) -> list[str]:
    """Return the columns of the source that some columns are made from, or are."""
    made = {f["name"]: f for f in schema.get("formulas", ())}
    found: dict[str, None] = {}
    stack = list(reversed(names))
    while stack:
        name = stack.pop()
        if name in made:
            stack += made[name]["uses"]
        else:
            found[name] = None
    return list(found)


def with_formulas(raw: Any, schema: Mapping[str, Any], names: list[str]) -> Any:
    """Return raw rows with those of `names` that formulas make; they hold what those need."""
    made = {f["name"] for f in schema.get("formulas", ())}
    if not made.intersection(names):
        return raw
    from models.served import read

    whole = [f for f in schema["formulas"] if set(raw_columns(schema, [f["name"]])) <= {*raw}]
    entries = [entry for entry in schema["columns"] if entry["name"] in raw]
    typed = read(raw, {**schema, "columns": entries, "derived": [], "formulas": whole})[0]
    return raw.assign(**{name: typed[name].to_numpy() for name in names if name in made})
