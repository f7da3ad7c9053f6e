"""How the parts of a source are written, for `init`: the first is sniffed, the others must fit.

- A part whose header is on another line than the first one's is refused by name: one number is all
  that the settings can say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations.failure import shown
from flows import titles
from flows.failed import refuse
from flows.heads import head_of
from flows.sniff import Writing, sniff

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flows.data_spec import DataSpec
    from flows.parts import Part


def writing_of(
    parts: Sequence[Part],
    data: DataSpec,
    *,
    names: list[str] | None = None,
    skip: int | None = None,
) -> Writing:
    """Return how the parts of a source are written.

    Args:
        parts: of the source.
        data: what is known of it already.
        names: its columns, where it has no header.
        skip: lines above the header; None: as found.

    Raises:
        DataRefused: the first part is no table, or another one has its header elsewhere.

    """
    writing = Writing()
    if parts[0].kind == "text":
        writing = sniff(parts[0], names=names, others=parts[1:], skip=skip)
    elif parts[0].kind == "excel" and skip is None:
        writing = _workbook(parts[0], data)
    _same_in_all(parts, data.model_copy(update=writing.options))
    return writing


def _workbook(part: Part, data: DataSpec) -> Writing:
    title = titles.found(head_of(part, data))
    if title is None:
        return Writing()
    return Writing(options={"skip_lines": title.lines}, why={"skip_lines": title.why("row")})


def _same_in_all(parts: Sequence[Part], data: DataSpec) -> None:
    """Refuse parts whose header is on another line than the first one's, as `data` reads them."""
    parts = [part for part in parts if part.kind in ("text", "excel")]
    below = (
        [one for one in head_of(parts[0], data) if one[0] > data.skip_lines] if parts[1:] else []
    )
    if not below or not data.header:
        return
    names = set(below[0][1])
    for part in parts[1:]:
        head = head_of(part, data)
        due = next((cells for line, cells in head if line > data.skip_lines), [])
        elsewhere = [line for line, cells in head if set(cells) == names]
        if set(due) != names and elsewhere:
            message = (
                f"every part must have its header below the same number of lines, but it is line "
                f"{below[0][0]:,} of {shown(parts[0].name)} and line {elsewhere[0]:,} of "
                f"{shown(part.name)}"
            )
            advice = "give all parts the same lines above the header, or none"
            raise refuse("file.skipped", message, advice)
