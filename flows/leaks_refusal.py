"""The refusal of leaking data: every finding with its evidence, and the lines that end them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations.failure import describe
from expectations.leaks import failure, quoted
from flows.errors import DataRefused
from flows.settings_text import value_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from expectations.leaks import Judged, Leak
    from flows.spec import Spec


def refuse(spec: Spec, findings: Sequence[Judged], rows: int) -> None:
    """Refuse the data where a finding must not pass.

    Raises:
        DataRefused: names columns or rows, the evidence, and what to paste into the settings.

    """
    grave = [each for each in findings if each.refuses]
    if not grave:
        return
    failures = [failure(each, rows) for each in grave]
    word = "a leak" if len(grave) == 1 else f"{len(grave)} leaks"
    head = f"the data holds {word}, so no figure about a model of it could be trusted"
    text = f"{head}\n{describe(failures)}\n{ways_out(spec, [each.leak for each in grave])}"
    raise DataRefused(text, failures)


def ways_out(spec: Spec, leaks: Sequence[Leak]) -> str:
    """Return the lines to paste: what to leave out, or what to accept."""
    place = spec.path.name if spec.path else "the settings"
    dropped = [n for leak in leaks if leak.droppable for n in leak.columns]
    lines = [f"to go on, put into {place}:"]
    if dropped:
        names = list(dict.fromkeys([*spec.data.drop, *dropped]))
        lines += ["    [data]", f"    drop = {value_text(names)}"]
        lines.append("or, where it is no leak, say why:")
    lines += ["    [leaks]", "    accept = ["]
    for each in spec.leaks.accept:
        lines.append(f"        {_entry(each.type, each.column, each.reason)},")
    for leak in leaks:
        column = leak.columns[0] if leak.columns else None
        lines.append(f"        {_entry(leak.type, column, '...')},")
    return "\n".join([*lines, "    ]"])


def _entry(kind: str, column: str | None, reason: str) -> str:
    about = f"column = {quoted(column)}, " if column is not None else ""
    return f"{{ type = {quoted(kind)}, {about}reason = {quoted(reason)} }}"
