"""Write docs/inputs.md from a run of tests/inputs: `python docs/make_inputs.py`.

- With arguments for pytest, such as `-k "12 or 79"`, only those lines are made anew.
- Every test there that is about an input of the list tells its outcome and the sentence a user sees;
  this page is what they told. Nothing is written where a test fails or an input is missing.
- The tests themselves hold the page to what they see, so it is checked wherever they run.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "inputs.md"
INPUTS = 88
HEAD = """# Bad inputs: what happens to each

The 88 inputs that real tables bring, and what Penstock does with them. **handled**: it goes on, and says
what it did; **refused**: it ends with exit code 2 (settings) or 3 (data), registers nothing, and says what
must hold, what was found, where, and what to do; **documented**: the policy is the sentence. Every line is
what a test saw (`tests/inputs`, one or more per number); this page is made from a run of them by
`docs/make_inputs.py`. In messages `...` stands for the folder of the table, ` / ` for a line break.

{count} of {of} inputs: {handled} handled, {refused} refused, {documented} documented (some in more than one way).

| no. | input | outcome | what a user sees |
|---|---|---|---|
"""


class Collector:
    """Gathers what the tests told."""

    def __init__(self, making: Any) -> None:
        self.making = making
        self.told: list[tuple[int, str, str, str]] = []
        self.bad: list[str] = []

    def pytest_configure(self, config: pytest.Config) -> None:
        """Say that the page is being made: it is not compared."""
        config.stash[self.making] = True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a test told, and which failed."""
        if report.failed:
            self.bad.append(report.nodeid)
        if report.when == "teardown":
            self.told += [tuple(value) for name, value in report.user_properties if name == "input"]


def page(told: list[tuple[int, str, str, str]]) -> str:
    """Return the page for what was told."""
    from inputs_page import Told

    lines = dict.fromkeys(sorted(told, key=lambda line: line[0]))
    by_outcome = {
        word: len({number for number, _, outcome, _ in told if outcome == word})
        for word in ("handled", "refused", "documented")
    }
    head = HEAD.format(count=len({number for number, *_ in told}), of=INPUTS, **by_outcome)
    return head + "".join(f"{Told(*line).row}\n" for line in lines)


def kept(told: list[tuple[int, str, str, str]]) -> list[Any]:
    """Return the lines of the page about inputs that no test told of, where only some were run."""
    from inputs_page import Told

    new = {(number, words) for number, words, *_ in told}
    return [line for line in Told.of_page(PAGE) if line[:2] not in new]


def main() -> int:
    """Run the tests of all inputs and write the page."""
    sys.path.insert(0, str(ROOT / "tests" / "inputs"))
    from inputs_page import MAKING

    collector = Collector(MAKING)
    tests = ROOT / "tests" / "inputs"
    options = ["-q", "-m", "not data", "-p", "no:cacheprovider", *sys.argv[1:]]
    pytest.main([str(tests), f"--ignore={tests / 'test_page.py'}", *options], plugins=[collector])
    told = [*collector.told, *(kept(collector.told) if sys.argv[1:] else [])]
    missing = sorted(set(range(1, INPUTS + 1)) - {number for number, *_ in told})
    if collector.bad or missing:
        sys.stderr.write(f"not written: failed {collector.bad}, without a test {missing}\n")
        return 1
    PAGE.write_text(page(told), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
