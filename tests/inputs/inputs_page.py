"""One line of docs/inputs.md, and the marks that say which input a test is about."""

import re
from dataclasses import dataclass
from functools import cache

import pytest

MAKING = pytest.StashKey[bool]()
LONGEST, TAIL = 420, 170  # characters of a sentence on the page, and of its end
LINE = re.compile(r"\| (\d+) \| (.+?) \| (handled|refused|documented) \| (.*) \|")
ESCAPED = (("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;"), ("`", "\\`"), ("*", "\\*"), ("_", "\\_"))


def numbered(*inputs):
    """Mark a test as being about one input, or about each of several: "28 a file that changes"."""
    return pytest.mark.parametrize("what", inputs, ids=inputs, indirect=True)


def table_of(rows, *names):
    """Mark a test as being about each row of a table: its key names the input."""
    values = [(key, *value) for key, value in rows.items()]
    return pytest.mark.parametrize(("what", *names), values, ids=list(rows), indirect=["what"])


@dataclass(frozen=True)
class Told:
    """What a test told of an input."""

    number: int
    words: str
    outcome: str
    sentence: str

    @property
    def line(self):
        return self.number, self.words, self.outcome, self.sentence

    @property
    def row(self):
        """The line of the page's table."""
        said = self.sentence
        if len(said) > LONGEST:  # what to do stands at the end
            said = f"{said[: LONGEST - TAIL - 5].rstrip()} ... {said[-TAIL:].lstrip()}"
        for sign, escaped in ESCAPED:
            said = said.replace(sign, escaped)
        return f"| {self.number} | {self.words} | {self.outcome} | {said} |"

    @staticmethod
    def of_page(path):
        """Yield the lines of a page as they were told, shortened where they are there."""
        for row in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            if found := LINE.fullmatch(row):
                said = found[4]
                for sign, escaped in reversed(ESCAPED):
                    said = said.replace(escaped, sign)
                yield int(found[1]), found[2], found[3], said


@cache
def page_rows(path):
    return (
        frozenset(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else frozenset()
    )
