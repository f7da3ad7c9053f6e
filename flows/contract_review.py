"""The contract as a living document: proposed anew from today's table, compared, accepted.

- A proposal is written beside what stands: values that a person has read bind until the wider ones
  are accepted too. Nothing is trained, and nothing but the contract's file is written.
- The table is read as the file says (missing tokens, marks, formats), so that what a person has
  declared there is not found to be new.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.agree import proposal, roles_for
from flows.errors import SettingsError
from flows.home import open_home
from flows.json_files import read_json
from flows.maker import Maker
from flows.past_runs import past_runs, tables_to_propose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from expectations.contract import Contract
    from expectations.contract_changes import Change
    from expectations.propose import Proposal
    from flows.progress import Progress
    from flows.spec import Spec

DIFFERS = 5
"""Exit code of `contract diff` where the table needs what the contract does not allow."""
READING = ("missing", "decimal", "thousands", "format", "true", "false", "replace")


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """Today's table beside the contract's file."""

    old: Contract
    new: Proposal
    changes: list[Change]
    tables: Mapping[str, Mapping[str, Any]]

    @property
    def open(self) -> list[Change]:
        """The changes that something can be proposed for."""
        from expectations.contract_changes import INFORMS

        return [change for change in self.changes if change.what not in INFORMS]


def propose(spec: Spec, progress: Progress) -> dict[str, Any]:
    """Write what today's table needs into the contract's file, or make the file.

    Raises:
        SettingsError: the settings or the contract are wrong.
        DataRefused: the data cannot be read.

    """
    from expectations.contract_edit import with_proposal
    from expectations.contract_text import write
    from expectations.contract_toml import loads

    path = spec.contract_path
    if not path.is_file():
        _made(spec, progress, ("load", "analyze", "contract"))
        what = "every rule warns until it is accepted" if path.is_file() else "it was not written"
        sentence = f"proposed {path.name}; {what}"
        return {"path": str(path), "wrote": path.is_file(), "changes": [], "sentence": sentence}
    seen, text = _seen(spec, progress), _text(spec)
    try:
        made = with_proposal(text, contract_file(spec), seen.new, seen.open, seen.tables)
        loads(made, str(path))
    except ValueError as error:
        msg = f"{path}: nothing was written: {error}"
        raise SettingsError(msg) from None
    if made != text:
        write(made, path)
    said = [f"{len(seen.open)} proposed"] if seen.open else []
    said += [f"[{name}] added" for name in seen.tables]
    what = ", ".join(said) or "it allows what today's table holds"
    tail = "; `penstock contract accept` makes them bind" if said else ""
    return {
        "path": str(path),
        "wrote": made != text,
        "changes": [change.to_json() for change in seen.changes],
        "lines": [change.line for change in seen.changes],
        "sentence": f"{path.name}: {what}{tail}",
    }


def diff(spec: Spec, progress: Progress) -> dict[str, Any]:
    """Say what a proposal would change, and write nothing.

    Raises:
        SettingsError: the settings or the contract are wrong, or there is no contract yet.
        DataRefused: the data cannot be read.

    """
    if not spec.contract_path.is_file():
        raise _no_file(spec)
    seen = _seen(spec, progress)
    old = seen.old
    count = len(seen.open)
    what = (
        f"{count} rule{'s' if count != 1 else ''} to be proposed" if count else "nothing to propose"
    )
    by_hand = ", changed by hand since" if contract_file(spec).edited else ""
    stands = f"version {old.number}{by_hand}" if old.number else "never accepted"
    return {
        "path": str(spec.contract_path),
        "version": old.number,
        "edited": contract_file(spec).edited,
        "accepted": old.accepted,
        "differs": bool(seen.open),
        "changes": [change.to_json() for change in seen.changes],
        "lines": [change.line for change in seen.changes],
        "sentence": f"{spec.contract_path.name} ({stands}): {what}",
    }


def accept(
    spec: Spec, *, rules: Sequence[str], columns: Sequence[str], by: str | None, because: str
) -> dict[str, Any]:
    """Let rules bind that only warned, and keep who did it.

    Raises:
        SettingsError: there is no contract, it is wrong, or has no such rule or column.

    """
    from expectations.contract_edit import with_acceptance
    from expectations.contract_text import write
    from expectations.contract_toml import loads

    path = spec.contract_path
    if not path.is_file():
        raise _no_file(spec)
    who = by or _user()
    try:
        text, taken = with_acceptance(
            _text(spec), contract_file(spec), by=who, because=because, rules=rules, columns=columns
        )
        made = loads(text, str(path))
    except ValueError as error:
        msg = f"{path}: {error}"
        raise SettingsError(msg) from None
    write(text, path)
    what = ", ".join(taken[:5]) + (f" and {len(taken) - 5} more" if len(taken) > 5 else "")
    return {
        "path": str(path),
        "version": made.number,
        "by": who,
        "what": taken,
        "digest": made.digest(),
        "sentence": f"{path.name}: version {made.number}, {what} accepted by {who}",
    }


def contract_file(spec: Spec) -> Contract:
    """Read the contract's file as it stands."""
    from expectations.contract import Contract

    try:
        return Contract.load(spec.contract_path)
    except (ValueError, OSError) as error:
        raise SettingsError(str(error)) from None


def _seen(spec: Spec, progress: Progress) -> _Seen:
    from expectations.contract_changes import changes

    file = contract_file(spec)
    try:
        old = file.with_roles(roles_for(spec, file))
    except ValueError as error:
        raise SettingsError(str(error)) from None
    spec = _as_read(spec, file)
    made = _made(spec, progress, ("load", "analyze"))
    profile = read_json(made["analyze"].path / "profile.json")
    new = proposal(spec, profile)
    tables = tables_to_propose(old, past_runs(open_home(spec.folder), spec.name))
    return _Seen(old=old, new=new, changes=changes(old, new, profile), tables=tables)


def _made(spec: Spec, progress: Progress, stages: Sequence[str]) -> Mapping[str, Any]:
    maker = Maker(spec, open_home(spec.folder), progress)
    try:
        for stage in stages:
            maker.make(stage)
    finally:
        maker.remember()
    return maker.made


def _as_read(spec: Spec, contract: Contract) -> Spec:
    """Return the settings with the contract's own words on how cells are read."""
    from flows.data_spec import ColumnSpec

    columns = dict(spec.data.columns)
    for name, column in contract.columns.items():
        said = {key: getattr(column, key) for key in READING if getattr(column, key)}
        if said:
            options = columns.get(name, ColumnSpec()).model_dump(exclude_unset=True)
            missing = (*options.get("missing", ()), *said.pop("missing", ()))
            merged = {**options, **said, "missing": tuple(dict.fromkeys(missing))}
            columns[name] = ColumnSpec.model_validate(merged)
    if columns == dict(spec.data.columns):
        return spec
    return spec.model_copy(update={"data": spec.data.model_copy(update={"columns": columns})})


def _text(spec: Spec) -> str:
    return spec.contract_path.read_bytes().decode("utf-8-sig")


def _no_file(spec: Spec) -> SettingsError:
    what = f"there is no contract at {spec.contract_path}"
    return SettingsError(f"{what}; `penstock contract propose` makes one from the data")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
