"""Which encoding made these bytes: candidates weighed by how their words look. `init` proposes, a run never guesses.

- A candidate must decode every byte. Among those that do, the one whose characters beyond ASCII
  stand as they do in written words wins: one script per word, a sensible case, common characters.
- The evidence goes along: which bytes, on which line, how they read, and what else would have fitted.
- UTF-16 and UTF-32 are known by their mark, or by zero bytes that stand at one kind of place only.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from expectations.failure import shown
from flows.wordlike import plausible

if TYPE_CHECKING:
    from collections.abc import Callable

    Place = Callable[[int], tuple[int, int]]

CANDIDATES = ("cp949", "cp932", "euc_jp", "gb18030", "big5", "cp1252", "cp1250", "cp1251",
              "koi8-r", "cp1253", "cp1254", "cp850", "latin-1")  # fmt: skip
SAME = {"cp949": "euc-kr", "cp1252": "latin-1"}
"""What gives the same text wherever it fits."""
MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8"),
)  # fmt: skip
LINES = 2_000  # that are weighed
HEAD = 1 << 16
TIE = 0.02  # scores this near are a tie, which the earlier candidate wins
ALSO = 0.25  # how much worse a candidate may look and still be named
BELIEVED = 0.5  # a score below which the bytes may be no text at all


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One way to read the bytes."""

    encoding: str
    score: float
    """0 to 1: how many of the characters beyond ASCII stand as in written words."""
    sample: str
    """How the first odd line reads."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The encoding that most likely made the bytes, and the evidence in one sentence."""

    encoding: str
    why: str
    believed: bool = True
    """False: it fits, but the words look like none."""


def marked(content: bytes) -> str | None:
    """Return the encoding that a byte-order mark names; None without one."""
    return next((name for mark, name in MARKS if content.startswith(mark)), None)


def wide(content: bytes) -> str | None:
    """Return UTF-16 or UTF-32 where zero bytes stand at one kind of place only; else None."""
    head = content[:HEAD]
    zeros = [head[place::4].count(0) for place in range(4)]
    total = sum(zeros)
    if total * 40 < len(head):  # every separator, digit and line end of UTF-16 has one
        return None
    usual = len(head) / 4
    for name, places in {"utf-32-le": (2, 3), "utf-32-be": (0, 1)}.items():
        if all(zeros[place] > 0.95 * usual for place in places) and _has_lines(head, name):
            return name
    for name, places in {"utf-16-le": (1, 3), "utf-16-be": (0, 2)}.items():
        if sum(zeros[place] for place in places) > 0.98 * total and _has_lines(head, name):
            return name
    return None


def _has_lines(content: bytes, name: str) -> bool:
    try:
        text = codecs.getincrementaldecoder(name)().decode(content)
    except UnicodeError:
        return False
    return "\n" in text or "\r" in text


def is_utf8(content: bytes) -> bool:
    """Whether the bytes are UTF-8, which other text is only by a rare chance."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def proposal(content: bytes, place: Place | None = None) -> Proposal | None:
    """Return the encoding that most likely made the bytes; None for UTF-8, and where none fits.

    `place` says where in the file a byte of `content` stands; left out: where it stands there.
    """
    if name := marked(content):
        if name == "utf-8":
            return None
        return Proposal(encoding=name, why=f"the file starts with the byte-order mark of {name}")
    if name := wide(content):
        line = content[: 1 << 12].decode(name, "ignore").splitlines()[0]
        said = f"every second byte is 0 as in {name}, without a byte-order mark; "
        return Proposal(encoding=name, why=f"{said}its first line reads {_start(line)}")
    if is_utf8(content):
        return None
    found = readings(content)
    if not found:
        return None
    best = found[0]
    believed = best.score >= BELIEVED
    return Proposal(encoding=best.encoding, why=_evidence(content, found, place), believed=believed)


def _evidence(content: bytes, found: list[Reading], place: Place | None) -> str:
    """Say which bytes are no UTF-8, how they read, and what else would have fitted."""
    at = first_odd(content)
    line, offset = place(at) if place else (content.count(b"\n", 0, at) + 1, at)
    end = at
    while end < len(content) and content[end] > 0x7F and end < at + 6:
        end += 1
    best = found[0]
    said = f"line {line:,} holds the bytes {content[at:end].hex(' ')} (offset {offset:,}), which are no UTF-8; "
    said += f"as {best.encoding} the line reads {_start(best.sample)}"
    also = [f"{r.encoding} ({_start(r.sample)})" for r in found[1:] if _rival(r, best)]
    if also:
        return f"{said}; what fits too: {', '.join(also[:3])}"
    same = SAME.get(best.encoding)
    twin = f", but for {same}, which gives the same text" if same and _fits(content, same) else ""
    return f"{said}; nothing else fits as well{twin}"


def _start(text: str) -> str:
    return shown(text) if len(text) <= 32 else f"{shown(text[:28])} ..."


def _rival(one: Reading, best: Reading) -> bool:
    return one.score >= max(best.score - ALSO, BELIEVED) and one.sample != best.sample


def first_odd(content: bytes) -> int:
    """Return the offset of the first byte that is no UTF-8."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return len(content)


def _fits(content: bytes, name: str) -> bool:
    try:
        content.decode(name)
    except UnicodeError:
        return False
    return True


def readings(content: bytes) -> list[Reading]:
    """Return every candidate that decodes all bytes, the likeliest first."""
    odd = b"\n".join(_odd_lines(content))
    at = first_odd(content)
    start = content.rfind(b"\n", 0, at) + 1
    line = content[start : content.find(b"\n", at) + 1 or len(content)].strip()
    found = []
    for name in CANDIDATES:
        if _fits(odd, name) and _fits(content, name):
            score = plausible(odd.decode(name), name)
            found.append(Reading(encoding=name, score=score, sample=line.decode(name)))
    if not found:
        return []
    top = max(reading.score for reading in found) - TIE
    first = next(reading for reading in found if reading.score >= top)
    rest = sorted((r for r in found if r is not first), key=lambda r: -r.score)
    return [first, *rest]


def _odd_lines(content: bytes) -> list[bytes]:
    """Return some lines with bytes beyond ASCII."""
    found: list[bytes] = []
    for match in re.finditer(rb"[^\n]*[\x80-\xff][^\n]*", content):
        found.append(match.group()[:2_000] if len(match.group()) < 4_000 else b"")
        if len(found) >= LINES:
            break
    return [line for line in found if line] or [content[:HEAD]]
