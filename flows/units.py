"""The sign beside numbers (12,50 €, $5, 38 %) that `init` proposes to take off when a run reads them.

- Proposed where all cells of a column share one sign, each cell has it, and without it the column
  is numbers: what is left is read by the reader itself before it is believed.
- A sign in some cells only is not proposed: 5k beside 300 may be 5,000.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from expectations.failure import shown
from flows.candidates import TOKENS, unit_of
from flows.kinds import infer
from models.served import NUMERIC

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from flows.settings_text import Draft


def units(draft: Draft, profile: Mapping[str, Any], table: pd.DataFrame) -> list[str]:
    """Declare the sign beside the numbers of each column that has one; return it with the evidence."""
    found = [c for c in profile["columns"] if "unit" in (c.get("flags") or ())]
    said = [_declared(draft, column, table) for column in found]
    return [line for line in said if line]


def _declared(draft: Draft, column: Mapping[str, Any], table: pd.DataFrame) -> str:
    name = column["name"]
    cells = table[name].dropna().astype(str).str.strip()
    known = {*draft.data.get("missing", ()), *(column.get("missing_tokens") or ()), *TOKENS, ""}
    present = cells.loc[~cells.isin(known)]
    sign = unit_of(present.unique().tolist())
    if sign is None or not (present.str.startswith(sign) | present.str.endswith(sign)).all():
        return ""
    if not _numbers(name, present, sign):
        return ""
    draft.columns.setdefault(name, {})["unit"] = sign
    why = (
        f"unit {shown(sign)}: all {len(present):,} cells that are there have it, such as "
        f"{shown(present.iloc[0])}; they are read as numbers without it"
    )
    before = draft.why.get(f"columns.{name}")
    draft.why[f"columns.{name}"] = f"{before}\n{why}" if before else why
    return f"{shown(name)}: {why}"


def _numbers(name: str, present: pd.Series, sign: str) -> bool:
    """Whether the column is numbers once the sign is off; a mark that is in doubt is said later."""
    guess, _, fault = infer(present, {"name": name, "unit": sign})
    return "ambiguous_number" in guess.flags or (guess.kind in NUMERIC and not fault.any())
