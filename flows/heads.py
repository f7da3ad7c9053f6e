"""The first records of a part with the lines at which they begin, whatever `data.skip_lines` says.

- For `penstock init`, and for the words of a refusal; nothing is read from them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from expectations.failure import shown
from flows import titles
from flows.header import clean_names
from flows.text_blocks import Blocks, Doubtful

if TYPE_CHECKING:
    from collections.abc import Collection

    from flows.data_spec import DataSpec
    from flows.parts import Part

HEAD = 1 << 18  # bytes that are looked at
NEAR = 50  # records among which a header is looked for


def head_of(part: Part, data: DataSpec) -> list[titles.Numbered]:
    """Return the first records of a text or a workbook; [] of others, and where the text is odd."""
    if part.path is None or part.kind not in ("text", "excel"):
        return []
    if part.kind == "excel":
        from flows.source_excel import head_of

        return head_of(part.path.read_bytes(), data, part.name)
    try:
        blocks = Blocks(part.path, data.model_copy(update={"skip_lines": 0}), piece=HEAD)
        head = next(iter(blocks), b"")
    except Doubtful:
        return []  # who reads it says why
    whole = head[: head.rfind(b"\n") + 1] or head
    return titles.numbered(whole.decode("utf-8", "replace"), data.separator, data.quote)


def header_of(part: Part, data: DataSpec, names: Collection[str]) -> str:
    """Say on which line a header with these names stands, if not where it is looked for; else ""."""
    records = head_of(part, data)
    widths = Counter(len(cells) for _, cells in records)
    for line, cells in records[:NEAR]:
        if line <= data.skip_lines + 1 or len(cells) != widths.most_common(1)[0][0]:
            continue
        if titles.may_be_header(cells) and {*names} <= {*clean_names(cells, part.name)[0]}:
            return (
                f"\nline {line:,} of {shown(part.name)} holds {', '.join(map(shown, names))}: if it "
                f"is the header, set skip_lines = {line - 1} in [data]"
            )
    return ""
