"""Five retrains of a real table with planted causes, against verdicts that were written beforehand.

- Data grow, nothing changes, labels are shuffled in a part, a slice is destroyed, a setting gets
  better: each through `penstock run`, registered models and all.
- Causes are planted in rows that are not test rows, as the split of the run before says.
- `PENSTOCK_DATA=... python benchmarks/gate_story.py [--table NAME] [--json]`; minutes per table.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from flows.launch import launch
from flows.replay import replay
from flows.settings import load_spec
from flows.why import why

if TYPE_CHECKING:
    from collections.abc import Callable

WEAK = ("train.epochs=4", "train.members=1", "train.ensemble='best'")
STRONG = ("train.members=2",)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A real table, and the slice that is destroyed in it."""

    read: Callable[[Path], pd.DataFrame]
    target: str
    slice: tuple[str, str]
    margin: str


def adult(folder: Path) -> pd.DataFrame:
    """Census rows, the train file."""
    head = "age workclass fnlwgt education education_num marital occupation relationship race"
    rest = "sex gain loss hours country income"
    names = f"{head} {rest}".split()
    return pd.read_csv(folder / "adult" / "adult-train.csv", names=names, skipinitialspace=True)


def california(folder: Path) -> pd.DataFrame:
    """Districts and their house prices."""
    return pd.read_csv(folder / "california_housing" / "housing.csv")


TABLES = {
    "adult": Table(
        read=adult, target="income", slice=("marital", "Married-civ-spouse"), margin="0.005"
    ),
    "california": Table(
        read=california,
        target="median_house_value",
        slice=("ocean_proximity", "INLAND"),
        margin="'2%'",
    ),
}
EXPECTED = {
    "first": ("promoted", "first"),
    "nothing new": ("promoted", "no_worse"),
    "more rows": ("promoted", "any"),
    "labels shuffled in a part": ("rejected", ""),
    "a slice destroyed": ("rejected", ""),
    "a better setting": ("promoted", "better"),
}
"""What must come of each, and by which rule; written before any of them was run."""


class Story:
    """The retrains of one table, in a folder."""

    def __init__(self, table: Table, source: pd.DataFrame, folder: Path) -> None:
        """Write settings; rows are in random order, each with an id."""
        self.table, self.folder = table, folder
        whole = source.sample(frac=1, random_state=0).reset_index(drop=True)
        whole.insert(0, "row_id", np.arange(len(whole)))
        self.whole = whole
        column = table.slice[0]
        (folder / "spec.toml").write_text(
            f'name = "story"\n[data]\nsource = "table.csv"\ntarget = "{table.target}"\n'
            f'id = "row_id"\n[gate]\nmargin = {table.margin}\nslices = ["{column}"]\n',
            encoding="utf-8",
        )
        self.test: set[int] = set()

    def tell(self) -> list[dict[str, Any]]:
        """Make all runs; return what came of each."""
        part = self.whole.iloc[: int(0.7 * len(self.whole))]
        told = [
            self._run("first", part, *WEAK),
            self._run("nothing new", part, *WEAK, "train.seed=1"),
            self._run("more rows", self.whole, *WEAK),
            self._run("labels shuffled in a part", self._shuffled(), *WEAK),
            self._run("a slice destroyed", self._destroyed(), *WEAK),
            self._run("a better setting", self.whole, *STRONG),
        ]
        again = replay("story", self.folder)
        exact = {each["version"]: each["exact"] for each in again["judged"]}
        for each in told:
            each["replayed"] = exact.get(each["version"], False)
        return told

    def _run(self, cause: str, rows: pd.DataFrame, *overrides: str) -> dict[str, Any]:
        rows.to_csv(self.folder / "table.csv", index=False)
        # One that was proposed for fewer rows is proposed anew.
        (self.folder / "spec.contract.toml").unlink(missing_ok=True)
        spec = load_spec(self.folder / "spec.toml", overrides)
        summary, error = launch(spec, list(overrides), quiet=True)
        if error is not None:
            raise error
        ledger = Path(summary["folder"]) / "gate" / "ledger.parquet"
        book = pd.read_parquet(ledger)
        tested = book.loc[book["side"] == "test", "row"].to_numpy()
        self.test |= set(rows["row_id"].to_numpy()[tested].tolist())
        found = (summary["verdict"]["outcome"], summary["verdict"]["rule"])
        wanted = EXPECTED[cause]
        met = found[0] == wanted[0] and wanted[1] in ("any", found[1])
        return {
            "cause": cause,
            "expected": " ".join(wanted),
            "found": " ".join(found),
            "met": met,
            "version": summary["registered"]["version"],
            "decided_by": summary["verdict"]["decided_by"],
            "why": why(summary["run"], self.folder)["sentence"],
        }

    def _learned(self) -> np.ndarray:
        return np.flatnonzero(~self.whole["row_id"].isin(sorted(self.test)).to_numpy())

    def _shuffled(self) -> pd.DataFrame:
        """Half of the labels that are learned from, dealt out anew."""
        rows, random = self.whole.copy(), np.random.default_rng(1)
        some = random.choice(self._learned(), len(rows) // 2, replace=False)
        place = rows.columns.get_loc(self.table.target)
        rows.iloc[some, place] = rows.iloc[random.permutation(some), place].to_numpy()
        return rows

    def _destroyed(self) -> pd.DataFrame:
        """One slice's labels, dealt out anew among the rows that are learned from."""
        rows, random = self.whole.copy(), np.random.default_rng(2)
        column, level = self.table.slice
        mine = self._learned()
        mine = mine[(rows[column] == level).to_numpy()[mine]]
        place = rows.columns.get_loc(self.table.target)
        rows.iloc[mine, place] = rows.iloc[random.permutation(mine), place].to_numpy()
        return rows


def main() -> None:
    """Tell the stories and print them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--table", choices=tuple(TABLES), action="append")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    wish = parser.parse_args()
    data = os.environ.get("PENSTOCK_DATA")
    if not data:
        sys.exit("PENSTOCK_DATA names no folder of real tables")
    found: dict[str, Any] = {}
    for name in wish.table or TABLES:
        table = TABLES[name]
        with tempfile.TemporaryDirectory(prefix="penstock-story-") as place:
            found[name] = Story(table, table.read(Path(data)), Path(place)).tell()
    if wish.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return
    for name, told in found.items():
        print(name)
        for each in told:
            mark = "as expected" if each["met"] else f"EXPECTED {each['expected']}"
            print(f"  {each['cause']:<28} {each['found']:<20} {mark}")
            print(f"      {each['why']}")
        print(f"  replayed exactly: {sum(each['replayed'] for each in told)} of {len(told)}")


if __name__ == "__main__":
    main()
