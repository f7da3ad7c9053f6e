"""Whether a table has the columns that its contract names: by exact name, in any order.

- A name that is missing is critical and comes with the nearest name that is there.
- A column that the contract does not name is never a feature; it warns unless `extra` says else.
- Names that differ only by case warn: people and tools mix them up.
"""

from __future__ import annotations

import difflib
import unicodedata
from typing import TYPE_CHECKING

from expectations.failure import Example, Failure, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from expectations.contract import Contract

LISTED = 20  # names in a message


def column_failures(contract: Contract, names: Iterable[str]) -> list[Failure]:
    """Return what is wrong with a table's column names; at most one failure for each column."""
    present = [unicodedata.normalize("NFC", str(name).strip()) for name in names]
    return [*_absent(contract, present), *_extra(contract, present), *_twins(present)]


def _absent(contract: Contract, names: Sequence[str]) -> list[Failure]:
    failures = []
    spare = [name for name in names if name not in contract.columns]
    for name, column in contract.columns.items():
        if name in names or not column.required or column.role == "ignored":
            continue
        failures.append(
            Failure(
                rule=f"{name}.column",
                column=name,
                count=1,
                total=1,
                message=f"the table must have the {column.role} column {shown(name)}, it has "
                f"{_listed(names)}{_nearest(name, spare)}",
                advice="correct the source's header, or take the column out of the contract",
            )
        )
    return failures


def _nearest(name: str, spare: Collection[str]) -> str:
    folded = {other.casefold(): other for other in spare}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean {shown(folded[near[0]])}?" if near else ""


def _extra(contract: Contract, names: Sequence[str]) -> list[Failure]:
    extra = [name for name in names if name not in contract.columns]
    if not extra or contract.extra == "ignore":
        return []
    return [
        Failure(
            rule="table.extra_columns",
            column=None,
            count=len(extra),
            total=len(names),
            message="the contract does not name every column of the table; these are not used: "
            + _listed(extra),
            severity="critical" if contract.extra == "error" else "warning",
            examples=tuple(Example(row=None, value=shown(name)) for name in extra),
            advice='name the columns in the contract (role = "ignored" keeps one out)',
        )
    ]


def _twins(names: Sequence[str]) -> list[Failure]:
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(name.casefold(), []).append(name)
    twins = [group for group in alike.values() if len(group) > 1]
    if not twins:
        return []
    return [
        Failure(
            rule="table.similar_columns",
            column=None,
            count=sum(map(len, twins)),
            total=len(names),
            message="columns should differ by more than case, these do not: "
            + "; ".join(_listed(group) for group in twins[:LISTED]),
            severity="warning",
            advice="rename or drop one of them; until then each is used by its exact name",
        )
    ]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return ", ".join(shown(name) for name in names[:LISTED]) + more if names else "none"
