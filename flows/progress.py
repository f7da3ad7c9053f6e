"""Progress while work runs: live lines on a terminal, plain lines without one, on standard error.

- Standard output stays free for the result, so `--json` can be piped.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.status import Status

EVERY_SECONDS = 5.0
"""How often a long stage says how far it is where there is no terminal."""


class Progress:
    """Says what happens, one line per stage; use as a context manager."""

    def __init__(
        self, *, quiet: bool = False, also: Callable[[str], None] = lambda _: None
    ) -> None:
        """`quiet` keeps everything but warnings back; `also` is told each line in any case."""
        self.quiet, self.also = quiet, also
        self.status: Status | None = None
        self.stage = ""
        self._said = 0.0
        self.warnings: list[str] = []

    def __enter__(self) -> Self:
        """Start the live line where there is a terminal."""
        if sys.stderr.isatty() and not self.quiet:
            from rich.console import Console

            self.status = Console(stderr=True).status("starting")
            self.status.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal clean."""
        if self.status:
            self.status.stop()
            self.status = None

    def begin(self, stage: str) -> None:
        """Say that a stage starts."""
        self.stage, self._said = stage, time.monotonic()
        if self.status:
            self.status.update(stage)

    def step(self, text: str) -> None:
        """Say how far the stage is: always on a terminal, now and then without one."""
        if self.status:
            from rich.markup import escape

            self.status.update(escape(f"{self.stage}: {text}"))
        elif time.monotonic() - self._said >= EVERY_SECONDS:
            self._said = time.monotonic()
            self.say(f"  {self.stage:<10} {text}")

    def board(self, rows: Mapping[str, str]) -> None:
        """Say how far the stage is in several respects: a live table, or one line now and then."""
        if self.status:
            from rich.table import Table
            from rich.text import Text

            table = Table.grid(padding=(0, 2))
            table.add_row(Text(self.stage, style="bold"))
            for name, text in rows.items():
                table.add_row(Text(name, style="dim"), Text(text))
            self.status.update(table)
        else:
            self.step(", ".join(f"{name} {text}" for name, text in rows.items()))

    def done(self, stage: str, seconds: float, *, reused: bool, text: str = "") -> None:
        """Say that a stage is finished."""
        took = "reused" if reused else f"{seconds:.1f} s"
        self.say(f"  {stage:<10} {took:>8}  {text}".rstrip())

    def say(self, text: str) -> None:
        """Write one line."""
        self.also(text)
        if not self.quiet:
            self._write(text)

    def warn(self, text: str) -> None:
        """Write a warning, even when quiet, and keep it for the report."""
        self.warnings.append(text)
        self.also(f"  warning: {text}")
        self._write(f"  warning: {text}")

    def _write(self, text: str) -> None:
        if self.status:
            self.status.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - the command line's own voice


def _nobody(_: Any) -> None:
    return None


@dataclass(frozen=True)
class Voice:
    """What a stage may say while it works; called as a function, it says one line."""

    step: Callable[[str], None] = _nobody
    """How far it is, in a sentence."""
    board: Callable[[Mapping[str, str]], None] = _nobody
    """How far it is in several respects."""
    trials: Callable[[Sequence[Mapping[str, Any]]], None] = _nobody
    """What became of trials of a sweep, as soon as it is known."""

    def __call__(self, text: str) -> None:
        """Say how far the stage is."""
        self.step(text)
