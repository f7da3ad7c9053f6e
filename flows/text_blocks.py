"""A text file as blocks of UTF-8, in constant memory: unpacked, decoded, without odd bytes.

- Whatever is odd (a NUL, bytes of another encoding, damaged gzip) raises `Doubtful`; whoever asked
  then reads the file as a whole, slowly, to say what is wrong and where.
- A file that changes while it is read is refused.
"""

from __future__ import annotations

import codecs
import io
import zlib
from typing import TYPE_CHECKING, Any

from flows.delimited import BOMB_BYTES, BOMB_RATIO, squeezed
from flows.file_kind import GZIP
from flows.parts import refuse
from flows.skipped import Skip, TooFewLines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flows.data_spec import DataSpec

PIECE = 1 << 22  # bytes
AS_IT_IS = ("utf-8", "utf-8-sig", "ascii")


class Doubtful(Exception):  # noqa: N818 - a reason to look closely, not an error
    """Something about the text is not plain."""


class Blocks:
    """The text of one file; each iteration begins anew."""

    def __init__(self, path: Path, data: DataSpec, *, piece: int = PIECE) -> None:
        """Remember what to read and how, `piece` bytes at once; nothing is opened."""
        self.path, self.data, self.piece = path, data, piece
        self.bytes_read = 0
        self.quotes = 0
        self.size = path.stat().st_size
        self.skip = Skip(data.skip_lines)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the text below `data.skip_lines`, without a byte-order mark; raise Doubtful where it is odd."""
        self.bytes_read = self.quotes = 0
        quote = self.data.quote.encode()
        try:
            for block in self.skip.below(self._plain()):
                if quote:
                    self.quotes += block.count(quote)
                yield block
        except TooFewLines as error:
            raise Doubtful(str(error)) from None

    def _plain(self) -> Iterator[bytes]:
        """Yield all text; raise Doubtful where it is odd."""
        text = self._decoded(self._unpacked(self._raw()))
        for block in _squeezed(text) if self.data.separator == " " else text:
            if b"\0" in block:
                raise Doubtful("NUL bytes")
            yield block

    def _raw(self) -> Iterator[bytes]:
        before = self.path.stat()
        with self.path.open("rb") as stream:
            while piece := stream.read(self.piece):
                self.bytes_read += len(piece)
                yield piece
        after = self.path.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            found = f"({before.st_size:,} bytes, then {after.st_size:,})"
            message = f"{self.path} changed while it was read {found}"
            raise refuse("source.changed", message, "run again when the writer is done")

    def _unpacked(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the content of gzip data, several members too; other data as it is."""
        first = next(pieces, b"")
        if not first.startswith(GZIP):
            yield first
            yield from pieces
            return
        worker, rest, size = zlib.decompressobj(wbits=31), first, 0
        while True:
            if worker.eof:
                rest = worker.unused_data.lstrip(b"\0") or next(pieces, b"").lstrip(b"\0")
                if not rest:
                    return
                worker = zlib.decompressobj(wbits=31)
            elif not rest and not (rest := next(pieces, b"")):
                raise Doubtful("gzip data that end early")
            try:
                piece = worker.decompress(rest, self.piece)
            except zlib.error as error:
                raise Doubtful(f"damaged gzip data: {error}") from None
            rest, size = worker.unconsumed_tail, size + len(piece)
            if size > BOMB_BYTES and size > BOMB_RATIO * self.bytes_read:
                raise Doubtful("gzip data of an absurd ratio")
            if piece:
                yield piece

    def _decoded(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield UTF-8; where the text is UTF-8 already, Arrow verifies it."""
        declared = codecs.lookup(self.data.encoding).name
        if declared in AS_IT_IS:
            for number, piece in enumerate(pieces):
                if declared == "ascii" and not piece.isascii():
                    raise Doubtful("bytes beyond ASCII")
                yield piece if number else piece.removeprefix(codecs.BOM_UTF8)
            return
        decoder = codecs.getincrementaldecoder(self.data.encoding)("strict")
        started = False
        try:
            for piece in pieces:
                text = decoder.decode(piece)
                if text:
                    yield (text if started else text.removeprefix("\ufeff")).encode()
                    started = True
            yield decoder.decode(b"", final=True).encode()
        except UnicodeError as error:
            raise Doubtful(str(error)) from None


def _squeezed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield whole lines, each run of blanks as one."""
    rest = b""
    for piece in pieces:
        whole, end, tail = (rest + piece).rpartition(b"\n")
        rest = tail
        if end:
            yield squeezed(whole + end)
    yield squeezed(rest)


class Stream(io.RawIOBase):
    """Blocks as a file that Arrow can read."""

    def __init__(self, blocks: Blocks) -> None:
        """Begin at the first block."""
        self._blocks, self._rest = iter(blocks), memoryview(b"")

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill what is asked for, less at the end only; return how many bytes that were."""
        filled = 0
        while filled < len(buffer):
            while not self._rest and (block := next(self._blocks, None)) is not None:
                self._rest = memoryview(block)
            if not self._rest:
                break
            size = min(len(buffer) - filled, len(self._rest))
            buffer[filled : filled + size] = self._rest[:size]
            self._rest = self._rest[size:]
            filled += size
        return filled
