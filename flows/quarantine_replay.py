"""Rows of an earlier quarantine, judged again by today's settings and contract.

- The rows are those that were kept, cell by cell as they were loaded; reader, contract and limits
  are today's, and the same code judges them as in a run.
- Nothing moves: what comes back does so with the next run, because its source still holds it. Where
  the source has changed since, that is said.
- Rules of the whole table, and rows that passed then, are `penstock check`'s to judge.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.failure import shown
from flows import quarantine_store
from flows.data_spec import DataSpec
from flows.errors import DataRefused, SettingsError
from flows.quarantine_effect import effect
from flows.quarantine_store import READING
from flows.stage import file_digest
from flows.tables import read_parquet, write_parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from expectations.contract import Contract
    from flows.home import Home
    from flows.quarantine import Offence
    from flows.spec import Spec

FAILURES = 20
"""Rules that still fail, of which examples are given."""


def replay(
    home: Home,
    index: Mapping[str, Any],
    spec: Spec,
    overrides: Sequence[str] = (),
    *,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Judge the rows again that a run set aside.

    Args:
        home: where they are kept.
        index: what is known of the run, as `quarantine_store.find` gives it.
        spec: today's settings.
        overrides: those of them that are not in their file.
        say: is told what is under way.

    Returns:
        {"run", "name", "settings", "overrides", "contract", "rows", "back", "still", "rules": {rule:
        {"then", "now"}}, "failures", "limits", "files", "notes", "sources", "effect"}.

    Raises:
        SettingsError: there is no contract, or it is wrong.
        DataRefused: the rows lack a column that is read today.
        PenstockError: the rows are gone, or MLflow does not answer.

    """
    say("judging the rows again")
    raw = read_parquet(quarantine_store.verified(home, index, "rows"))
    contract, schema = _today(spec)
    typed, found = _judged(spec, contract, schema, raw)
    bad = np.zeros(len(raw), dtype=bool)
    for offence in found:
        bad[offence.rows] = True
    cut = _records(home, index, spec)
    say("asking the champion")
    kept = ~bad
    there = raw.loc[kept].drop(columns=[c for c in raw if c.startswith("__") and c.endswith("__")])
    return {
        "run": index["run"],
        "name": index["name"],
        "written": index["written"],
        "settings": str(spec.path),
        "overrides": list(overrides),
        "contract": {"path": str(spec.contract_path), **_compared(contract, index)},
        "of": index["rows"],
        "rows": len(raw) + len(cut),
        "back": int(kept.sum() + cut["fits"].sum()),
        "still": int(bad.sum() + (~cut["fits"]).sum()),
        "rules": _rules(index, found, cut),
        "failures": _failures(typed, found),
        "limits": _limits(spec, contract, _broken(found, cut, len(raw)), index["rows"]),
        "files": [_again(home, spec, each) for each in index["files"]],
        "notes": _notes(spec, index),
        "sources": _sources(index),
        "effect": effect(home, spec, schema, there, typed.loc[kept]),
    }


def _today(spec: Spec) -> tuple[Contract, dict[str, Any]]:
    from expectations.contract import Contract
    from flows.agree import roles_for
    from flows.engineer import reading_schema

    if not spec.contract_path.is_file():
        msg = f"the contract {spec.contract_path} must be there to judge by; `penstock check` proposes one"
        raise SettingsError(msg)
    try:
        contract = Contract.load(spec.contract_path)
        contract = contract.with_roles(roles_for(spec, contract))
        return contract.binding(), reading_schema(spec, contract)
    except (ValueError, OSError) as error:
        raise SettingsError(str(error)) from None


def _judged(
    spec: Spec, contract: Contract, schema: Mapping[str, Any], raw: pd.DataFrame
) -> tuple[pd.DataFrame, list[Offence]]:
    """Type the rows and return what is wrong with them, as reader and contract say together."""
    from expectations.check import check
    from flows.engineer import engineer
    from flows.quarantine import offences

    with tempfile.TemporaryDirectory(prefix="penstock-again-") as place:
        folder = Path(place)
        write_parquet(raw.drop(columns="__row__"), folder / "table.parquet")
        engineer(spec, schema, folder / "table.parquet", folder)
        typed = read_parquet(folder / "typed.parquet")
        untypable = read_parquet(folder / "untypable.parquet")
    if not len(typed):
        return typed, []
    try:
        broken = check(typed, contract).row_failures
    except ValueError as error:
        msg = f"{spec.contract_path}: {error}"
        raise SettingsError(msg) from None
    found = offences(contract, schema, typed, untypable, broken, alone=True)
    return typed, [offence for offence in found if offence.severity == "critical"]


def _compared(contract: Contract, index: Mapping[str, Any]) -> dict[str, Any]:
    digest = contract.digest()
    changed = digest != index["contract"]
    return {"digest": digest, "accepted": contract.accepted, "changed": changed}


def _records(home: Home, index: Mapping[str, Any], spec: Spec) -> pd.DataFrame:
    """Cut the records of another width again, as today's settings say: rule, and whether it fits."""
    from flows.quarantine import RECORDS
    from flows.quarantine_records import fitting

    lines = read_parquet(quarantine_store.verified(home, index, "lines"))
    lines = lines.loc[lines["rule"].isin(RECORDS)].reset_index(drop=True)
    fits = fitting(lines["source"], lines["value"], index.get("widths", {}), spec.data)
    return lines[["rule"]].assign(fits=fits)


def _broken(found: Sequence[Offence], cut: pd.DataFrame, rows: int) -> dict[str, np.ndarray]:
    """Return by rule who still breaks it: rows, and records as places after them."""
    wrong = cut.loc[~cut["fits"]]
    records = {str(rule): rows + part.index.to_numpy() for rule, part in wrong.groupby("rule")}
    return {offence.rule: offence.rows for offence in found} | records


def _rules(
    index: Mapping[str, Any], found: Sequence[Offence], cut: pd.DataFrame
) -> dict[str, dict[str, int]]:
    now = {rule: len(places) for rule, places in _broken(found, cut, 0).items()}
    names = dict.fromkeys([*index["rules"], *now])
    return {n: {"then": index["rules"].get(n, 0), "now": now.get(n, 0)} for n in names}


def _failures(typed: pd.DataFrame, found: Sequence[Offence]) -> list[dict[str, Any]]:
    from flows.quarantine import failures_of

    ordered = sorted(failures_of(typed, found), key=lambda failure: -failure.count)
    return [failure.to_json() for failure in ordered[:FAILURES]]


def _limits(
    spec: Spec, contract: Contract, broken: Mapping[str, np.ndarray], rows: int
) -> list[dict[str, Any]]:
    from flows.quarantine import rules_known
    from flows.quarantine_limits import limits

    try:
        held = limits(spec.data.max_fraction, rules_known(contract), broken, rows)
    except ValueError as error:
        msg = f"{spec.path}: {error}"
        raise SettingsError(msg) from None
    return [limit.to_json() for limit in held]


def _notes(spec: Spec, index: Mapping[str, Any]) -> list[str]:
    now = spec.data.model_dump(mode="json", include=set(READING))
    then = DataSpec(source="-", target="-").model_dump(mode="json") | index["reading"]
    changed = [f"data.{key}" for key in READING if then[key] != now[key]]
    if not changed:
        return []
    said = (
        f"{', '.join(changed)} changed since, which says how text is cut into cells: these rows were "
        "cut as it was then; `penstock check` reads the source anew"
    )
    return [said]


def _sources(index: Mapping[str, Any]) -> dict[str, str]:
    """Say of each part whose rows were set aside whether it still is what it was."""
    found = {}
    for name in index["sources"]:
        then = index["parts"].get(name) or {}
        path = Path(then["path"]) if then.get("path") else None
        if path is None:
            found[name] = "asked again by the next run"
        elif not path.is_file():
            found[name] = "gone"
        else:
            found[name] = "unchanged" if file_digest(path) == then["sha256"] else "changed"
    return found


def _again(home: Home, spec: Spec, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Try to read a file again that could not be read: where it lies, else as it was kept."""
    from flows.parts import find_parts
    from flows.sources import SOURCES

    places = [Path(facts["path"]), home.root / facts["kept"] if facts["kept"] else None]
    path = next((place for place in places if place and place.is_file()), None)
    said = {"name": facts["name"], "then": facts["reason"], "path": str(path) if path else None}
    if path is None:
        return {**said, "rows": None, "reason": "the file is gone"}
    try:
        place = str(path.absolute())
        (part,) = find_parts(place, folder=path.parent, outside=True, data=spec.data)
        rows = SOURCES[part.kind](part, spec.data).piece.table.num_rows
    except DataRefused as error:
        first = error.failures[0].message if error.failures else str(error)
        return {**said, "rows": None, "reason": shown(first, 300)}
    return {**said, "rows": rows, "reason": None}
