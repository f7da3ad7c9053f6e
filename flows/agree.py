"""The contract of a run: the reviewed file where there is one, else a proposal from the profile.

- A proposal is checked like any contract, but its ranges, levels and shares only warn until a
  person has accepted them.
- The reading schema, which training and the served model share, is made here, once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from expectations.contract import Contract
    from expectations.propose import Proposal
    from flows.spec import Spec


def agree(spec: Spec, profile: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write `contract.toml` and `schema.json` to `out`; return what is known of the contract.

    Raises:
        SettingsError: the contract file is wrong, or contradicts the settings.
        DataRefused: the contract names a column that the data lacks.

    """
    from expectations.history import newest
    from flows.engineer import reading_schema
    from flows.validate import refuse_columns

    agreed = _agreed(spec, profile)
    contract = agreed.contract
    names = [column["name"] for column in profile["columns"]]
    warnings = refuse_columns(contract, names)
    try:
        schema = reading_schema(spec, contract)
    except ValueError as error:
        msg = f"{spec.contract_path}: {error}"
        raise SettingsError(msg) from None
    contract.binding().dump(out / "contract.toml", agreed.why)
    (out / "schema.json").write_text(
        json.dumps(schema, ensure_ascii=False, indent=1), encoding="utf-8"
    )
    return {
        "digest": contract.digest(),
        "version": contract.number,
        "edited": agreed.edited,
        "accepted": contract.accepted,
        "proposed": agreed.proposed,
        "features": len(contract.features),
        "newest": newest(contract, profile),
        "warnings": [failure.message for failure in warnings],
    }


@dataclass(frozen=True, kw_only=True)
class _Agreed:
    """The contract of a run, with the settings' roles."""

    contract: Contract
    why: Mapping[tuple[str, str], str]
    proposed: bool
    """Whether there was no file."""
    edited: bool
    """Whether the file was changed by hand since it was last accepted."""


def _agreed(spec: Spec, profile: Mapping[str, Any]) -> _Agreed:
    from expectations.contract import Contract

    path = spec.contract_path
    if not path.is_file():
        if spec.data.contract:
            where = "data.contract names a file that must exist or be left to be proposed"
            if not path.parent.is_dir():
                msg = f"{where}, but its folder does not exist: {path.parent}"
                raise SettingsError(msg)
        made = proposal(spec, profile)
        return _Agreed(contract=made.contract, why=made.why, proposed=True, edited=False)
    try:
        file = Contract.load(path)
        contract = file.with_roles(roles_for(spec, file))
        return _Agreed(contract=contract, why={}, proposed=False, edited=file.edited)
    except (ValueError, OSError) as error:
        raise SettingsError(str(error)) from None


def proposal(spec: Spec, profile: Mapping[str, Any]) -> Proposal:
    """Propose a contract for the profiled table.

    Raises:
        SettingsError: a column cannot have the role that the settings give it.

    """
    from expectations.propose import propose

    try:
        return propose(profile, target=spec.data.target, roles=settings_roles(spec))
    except ValueError as error:
        msg = f"{spec.path}: no contract can be proposed: {error}"
        raise SettingsError(msg) from None


def roles_for(spec: Spec, contract: Contract) -> dict[str, str]:
    """The settings' roles for a contract; a column that `data.only` leaves out is ignored."""
    data = spec.data
    read = {*data.only, *data.derive, *(name for f in data.formulas for name in f.uses)}
    out = [name for name in contract.columns if data.only and name not in read]
    return dict.fromkeys(out, "ignored") | settings_roles(spec)


def settings_roles(spec: Spec) -> dict[str, str]:
    """The roles that the settings give to columns; the contract's proposal follows them."""
    data = spec.data
    roles = dict.fromkeys(data.drop, "ignored")
    roles |= dict.fromkeys(data.id, "id")
    single = {"group": data.group, "time": data.time, "weight": data.weight}
    roles |= {name: role for role, name in single.items() if name and name not in roles}
    return {**roles, data.target: "target"}
