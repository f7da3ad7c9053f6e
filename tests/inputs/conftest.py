"""A small good table, the way a bad one meets its contract, and what a person then sees.

- A test whose id starts with a number is about that input of docs/inputs.md: `numbered("28 words")`,
  or `table_of({"4 no bytes": (...)}, "content", "said")` for a whole table of them.
- Such a test tells whether the input was handled, refused or is documented, and the sentence that
  a user sees; both must be what the page says. `python docs/make_inputs.py` makes the page from a run.
"""

import re
from pathlib import Path

import pytest
from inputs_page import MAKING, Told, page_rows
from small_tables import ROWS, as_csv, good

from flows.check import check
from flows.progress import Progress
from flows.settings import load_spec

PAGE = Path(__file__).resolve().parents[2] / "docs" / "inputs.md"


class Case:
    """One settings file and one table in a folder of their own."""

    def __init__(self, folder):
        self.folder = folder
        self.table = folder / "table.csv"
        self.source = "table.csv"
        self.data = ""
        self.rest = ""
        self.target = "grade"
        self.progress = Progress(quiet=True)
        self.told = None

    def write(self, content):
        self.table.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self

    def write_good(self, change=None, rows=ROWS):
        header, records = good(rows)
        if change:
            change(header, records)
        return self.write(as_csv(header, records))

    def spec(self):
        spec = self.folder / "case.toml"
        spec.write_text(
            f'name = "case"\n{"" if "[" in self.rest[:1] else self.rest}\n[data]\nsource = {self.source!r}\n'
            f"target = {self.target!r}\n{self.data}\n{self.rest if '[' in self.rest[:1] else ''}\n",
            encoding="utf-8",
        )
        return load_spec(spec)

    def check(self):
        return check(self.spec(), self.progress)

    def agreed(self):
        """Let the good table propose the contract that the bad one will meet."""
        self.write_good()
        self.check()
        return self

    def refusal(self, error, act=None):
        with pytest.raises(error) as caught:
            (act or self.check)()
        message = str(caught.value)
        self.tells("refused", message)
        return message

    def handled(self, sentence):
        self.tells("handled", sentence)

    def documented(self, sentence):
        self.tells("documented", sentence)

    def tells(self, outcome, sentence):
        """Keep what the page says of this input; one line, without the folder of this test."""
        text = sentence.replace(str(self.folder.resolve()), "...").replace(str(self.folder), "...")
        text = text.replace(self.folder.name, "folder")
        text = re.sub(r"\b[0-9a-f]{32}\b", "<key>", text)
        lines = [re.sub(r"\s+", " ", line).strip() for line in text.splitlines()]
        self.told = (outcome, " / ".join(line for line in lines if line))


@pytest.fixture
def what(request):
    """Return the number and the words of the input that the test is about; None for others."""
    named = getattr(request, "param", None)
    if named is None:
        return None
    number, _, words = named.partition(" ")
    return int(number), words


@pytest.fixture
def case(tmp_path, what, request):
    made = Case(tmp_path)
    yield made
    report = request.node.stash.get(OUTCOME, None)
    if what is None or report is None or not report.passed:
        return
    assert made.told, (
        "a test of an input tells what the user sees: case.handled, refusal, documented"
    )
    told = Told(*what, *made.told)
    request.node.user_properties.append(("input", list(told.line)))
    if not request.config.stash.get(MAKING, False):
        assert told.row in page_rows(PAGE), (
            f"docs/inputs.md must have\n{told.row}\nmake it anew: python docs/make_inputs.py"
        )


OUTCOME = pytest.StashKey[pytest.TestReport]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.stash[OUTCOME] = report
    return report
