"""The contract of a run: the reviewed file where there is one, else a proposal from the profile.

- A proposal is checked like any contract, but its ranges, levels and shares only warn until a
  person has accepted them.
- The reading schema, which training and the served model share, is made here, once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flows.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from expectations.contract import Contract
    from flows.spec import Spec


def agree(spec: Spec, profile: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write `contract.toml` and `schema.json` to `out`; return what is known of the contract.

    Raises:
        SettingsError: the contract file is wrong, or contradicts the settings.
        DataRefused: the contract names a column that the data lacks.

    """
    from flows.engineer import reading_schema
    from flows.validate import refuse_columns

    contract, proposed = _contract(spec, profile)
    names = [column["name"] for column in profile["columns"]]
    warnings = refuse_columns(contract, names)
    try:
        schema = reading_schema(spec, contract)
    except ValueError as error:
        msg = f"{spec.contract_path}: {error}"
        raise SettingsError(msg) from None
    contract.dump(out / "contract.toml")
    (out / "schema.json").write_text(
        json.dumps(schema, ensure_ascii=False, indent=1), encoding="utf-8"
    )
    return {
        "digest": contract.digest(),
        "accepted": contract.accepted,
        "proposed": proposed,
        "features": len(contract.features),
        "warnings": [failure.message for failure in warnings],
    }


def _contract(spec: Spec, profile: Mapping[str, Any]) -> tuple[Contract, bool]:
    from expectations.contract import Contract
    from expectations.propose import propose

    roles = settings_roles(spec)
    path = spec.contract_path
    if not path.is_file():
        if spec.data.contract:
            where = "data.contract names a file that must exist or be left to be proposed"
            if not path.parent.is_dir():
                msg = f"{where}, but its folder does not exist: {path.parent}"
                raise SettingsError(msg)
        try:
            return propose(profile, target=spec.data.target, roles=roles), True
        except ValueError as error:
            msg = f"{spec.path}: no contract can be proposed: {error}"
            raise SettingsError(msg) from None
    try:
        return Contract.load(path).with_roles(roles), False
    except (ValueError, OSError) as error:
        raise SettingsError(str(error)) from None


def settings_roles(spec: Spec) -> dict[str, str]:
    """The roles that the settings give to columns; the contract's proposal follows them."""
    data = spec.data
    roles = dict.fromkeys(data.drop, "ignored")
    roles |= dict.fromkeys(data.id, "id")
    single = {"group": data.group, "time": data.time, "weight": data.weight}
    roles |= {name: role for role, name in single.items() if name and name not in roles}
    return {**roles, data.target: "target"}
