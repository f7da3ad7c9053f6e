"""A small good table, and the way a bad one meets its contract."""

import pytest
from small_tables import ROWS, as_csv, good

from flows.check import check
from flows.progress import Progress
from flows.settings import load_spec


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

    def write(self, content):
        self.table.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self

    def write_good(self, change=None, rows=ROWS):
        header, records = good(rows)
        if change:
            change(header, records)
        return self.write(as_csv(header, records))

    def check(self):
        spec = self.folder / "case.toml"
        spec.write_text(
            f'name = "case"\n{"" if "[" in self.rest[:1] else self.rest}\n[data]\nsource = {self.source!r}\n'
            f"target = {self.target!r}\n{self.data}\n{self.rest if '[' in self.rest[:1] else ''}\n",
            encoding="utf-8",
        )
        return check(load_spec(spec), self.progress)

    def agreed(self):
        """Let the good table propose the contract that the bad one will meet."""
        self.write_good()
        self.check()
        return self

    def refusal(self, error):
        with pytest.raises(error) as caught:
            self.check()
        return str(caught.value)


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)
