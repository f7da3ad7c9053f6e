"""What sniffing needs of a large text: its head, and the lines further on that are no UTF-8.

- The head ends where a record does, as far as quotes tell.
- All bytes go by, a few in memory: one name in another encoding may stand in the last line.
"""

from __future__ import annotations

import gzip
import itertools
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows import encodings
from flows.delimited import BOMB_BYTES, BOMB_RATIO
from flows.file_kind import is_gzip
from flows.part_size import PACKED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGE = 1 << 26  # bytes of text, above which it is not sniffed as a whole
HEAD = 1 << 23
PIECE = 1 << 22
LINES, LINES_AT_ONCE = 2_000, 20  # that are no UTF-8: in all, and of one piece
ODD = re.compile(rb"[^\n]*[\x80-\xff][^\n]*\n?")


@dataclass(frozen=True, kw_only=True)
class Glanced:
    """A text, or of a large one so much as tells how it is written."""

    content: bytes
    head: int
    """Bytes of `content` that stand so in the file; lines from further on follow."""
    lines: tuple[tuple[int, int, int], ...] = ()
    """Of each of these: where it begins in `content`, its number in the file, its offset there."""

    def place(self, at: int) -> tuple[int, int]:
        """Return the line, from 1, and the offset in the file of a byte of `content`."""
        if at < self.head or not self.lines:
            return self.content.count(b"\n", 0, at) + 1, at
        start, line, offset = max(one for one in self.lines if one[0] <= at)
        return line, offset + at - start


def is_large(path: Path) -> bool:
    """Whether a text is too large to be sniffed as a whole."""
    return path.stat().st_size * (PACKED if is_gzip(path) else 1) > LARGE


def glance_at(path: Path) -> Glanced:
    """Return the head of a text, and lines that are no UTF-8 from all of it."""
    pieces = _lines_of(path)
    head = b""
    while len(head) < HEAD and (piece := next(pieces, b"")):
        head += piece
    if (encodings.marked(head) or "utf-8") != "utf-8" or encodings.wide(head):
        return Glanced(content=head[:HEAD], head=HEAD)
    kept = head[: _record_end(head)]
    odd, lines, size = [], [], len(kept)
    line, offset = kept.count(b"\n") + 1, len(kept)
    for piece in itertools.chain([head[len(kept) :]], pieces):
        for start, text in _odd_lines(piece, any_=kept.isascii() and not odd):
            if len(odd) < LINES:
                lines.append((size, line + piece.count(b"\n", 0, start), offset + start))
                odd.append(text)
                size += len(text)
        line, offset = line + piece.count(b"\n"), offset + len(piece)
    return Glanced(content=kept + b"".join(odd), head=len(kept), lines=tuple(lines))


def _odd_lines(piece: bytes, *, any_: bool) -> list[tuple[int, bytes]]:
    """Return some lines that are no UTF-8, and where they begin; one beyond ASCII where `any_` will do."""
    if piece.isascii():
        return []
    plain = encodings.is_utf8(piece)
    if plain and not any_:
        return []
    found = (match for match in ODD.finditer(piece) if plain or not encodings.is_utf8(match[0]))
    return [(m.start(), m[0]) for m in itertools.islice(found, 1 if plain else LINES_AT_ONCE)]


def _record_end(head: bytes) -> int:
    """Return where the last line of a text ends that ends a record too, as far as quotes tell."""
    open_quote, end = head.count(b'"') % 2, len(head)
    while (cut := head.rfind(b"\n", 0, end)) >= 0:
        open_quote ^= head.count(b'"', cut, end) % 2
        if not open_quote:
            break
        end = cut
    # A quote that nobody closes (5" of pipe) says nothing of where records end.
    return cut + 1 if cut > len(head) / 2 else head.rfind(b"\n") + 1 or len(head)


def _lines_of(path: Path) -> Iterator[bytes]:
    """Yield the text in pieces that end where a line does; of damaged gzip data what can be read."""
    opened: Any = gzip.open if is_gzip(path) else open
    rest, size, packed = b"", 0, path.stat().st_size
    with opened(path, "rb") as stream:
        while True:
            try:
                block = stream.read(PIECE)
            except (EOFError, OSError, zlib.error):
                block = b""  # who reads the table says what is wrong
            size += len(block)
            bomb = size > BOMB_BYTES and size > BOMB_RATIO * packed
            if not block or bomb or len(rest) > HEAD * 8:
                break
            whole, end, tail = (rest + block).rpartition(b"\n")
            rest = tail
            if end:
                yield whole + end
    if rest:
        yield rest
