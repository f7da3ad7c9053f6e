"""Planted bad cells: every one is diverted and listed, and nothing else of the table changes."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.column import Column
from expectations.contract import Contract
from flows.engineer import engineer, reading_schema
from flows.load import load
from flows.settings import load_spec
from flows.tables import read_parquet
from flows.validate import validate

SPEC = 'name = "t"\n[data]\nsource = "data.csv"\ntarget = "y"\nid = ["id"]\n'
COLUMNS = {
    "id": Column(role="id", kind="text"),
    "n": Column(kind="number", min=-50, max=50),
    "k": Column(kind="integer", min=0),
    "d": Column(kind="date"),
    "b": Column(kind="boolean"),
    "c": Column(kind="category", levels=("red", "green", "파랑")),
    "y": Column(role="target", kind="category", levels=("no", "yes")),
}
PLANTED = (
    ("n", "12,5", "n.type"), ("n", "1e400", "n.type"), ("n", "50.0001", "n.range"),
    ("n", "-99", "n.range"), ("k", "3.5", "k.type"), ("k", "-1", "k.range"),
    ("k", "9007199254740993", "k.type"), ("d", "2021-02-30", "d.type"), ("d", "today", "d.type"),
    ("b", "maybe", "b.type"), ("c", "blue", "c.levels"), ("c", "Red", "c.levels"),
    ("y", "", "y.present"), ("y", "maybe", "y.levels"),
)  # fmt: skip


def sound_table(rows, seed=0):
    """Text cells that all pass; a few are missing, where they may be."""
    random = np.random.default_rng(seed)
    day = np.datetime64("2020-01-01") + random.integers(0, 900, rows)
    made = {
        "id": np.arange(rows).astype(str),
        "n": random.uniform(-50, 50, rows).astype(str),
        "k": random.integers(0, 10**9, rows).astype(str),
        "d": day.astype(str),
        "b": random.choice(["true", "false"], rows),
        "c": random.choice(["red", "green", "파랑"], rows),
        "y": random.choice(["no", "yes"], rows),
    }
    frame = pd.DataFrame(made, dtype="str")
    for name in ("n", "d", "c"):
        frame.loc[random.random(rows) < 0.02, name] = ""
    return frame


def spoiled(frame, share, seed=1):
    """A copy with bad cells in that share of the rows, and what was planted, one line per cell."""
    random = np.random.default_rng(seed)
    rows = np.sort(random.choice(len(frame), round(share * len(frame)), replace=False))
    kinds = random.integers(0, len(PLANTED), len(rows))
    frame, planted = frame.copy(), []
    for place, (column, cell, rule) in enumerate(PLANTED):
        here = rows[kinds == place]
        frame.loc[here, column] = cell
        planted.append(pd.DataFrame({"row": here, "rule": rule, "column": column, "value": cell}))
    return frame, pd.concat(planted).sort_values("row", ignore_index=True)


def judged(frame, folder, *, parquet):
    """Load, type and judge a table of text; return the folder of what is left."""
    folder.mkdir()
    name = "data.parquet" if parquet else "data.csv"
    if parquet:
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), folder / name)
    else:
        frame.to_csv(folder / name, index=False)
    (folder / "spec.toml").write_text(SPEC.replace("data.csv", name), "utf-8")
    spec, out = load_spec(folder / "spec.toml"), folder / "out"
    out.mkdir()
    contract = Contract(accepted=True, columns=COLUMNS)
    schema = reading_schema(spec, contract)
    load(spec, out)
    engineer(spec, schema, out / "table.parquet", out)
    paths = [out / part for part in ("typed.parquet", "untypable.parquet", "table.parquet")]
    validate(spec, contract, schema, *paths, out)
    return out


def bits(frame):
    """Cells as what they are in memory, so that -0.0 is not 0.0 and NaN is NaN."""
    return {
        name: cells.to_numpy().view(np.int64) if cells.dtype.kind in "fM" else cells.astype(object)
        for name, cells in frame.items()
    }


def all_are_diverted_and_the_rest_is_bit_identical(rows, tmp_path, *, parquet):
    sound = sound_table(rows)
    bad, planted = spoiled(sound, 0.005)
    before = judged(sound, tmp_path / "sound", parquet=parquet)
    after = judged(bad, tmp_path / "spoiled", parquet=parquet)

    aside = read_parquet(after / "quarantined.parquet")
    expected = planted.assign(source=aside["source"].iloc[0], record=planted["row"] + 1)
    pd.testing.assert_frame_equal(
        aside, expected[list(aside)], check_dtype=False, check_column_type=False
    )
    kept = read_parquet(after / "set_aside.parquet")
    assert kept["__row__"].tolist() == planted["row"].tolist()
    whole = kept[list(sound)].astype("str").reset_index(drop=True)
    pd.testing.assert_frame_equal(whole, bad.iloc[planted["row"]].reset_index(drop=True))

    whole, left = (read_parquet(out / "clean.parquet") for out in (before, after))
    assert len(whole) == rows
    rest = whole[~whole["__row__"].isin(planted["row"])].reset_index(drop=True)
    assert list(rest) == list(left)
    here, there = bits(rest.drop(columns="__source__")), bits(left.drop(columns="__source__"))
    for name in here:
        assert rest[name].dtype == left[name].dtype
        same = np.asarray(here[name]) == np.asarray(there[name])
        assert (same | (rest[name].isna() & left[name].isna()).to_numpy()).all(), name


@pytest.mark.parametrize("parquet", [False, True], ids=["csv", "parquet"])
def test_all_planted_cells_are_diverted_and_the_rest_is_bit_identical(tmp_path, parquet):
    all_are_diverted_and_the_rest_is_bit_identical(8_000, tmp_path, parquet=parquet)


@pytest.mark.long
def test_all_planted_cells_of_a_million_rows_are_diverted_and_the_rest_is_bit_identical(tmp_path):
    all_are_diverted_and_the_rest_is_bit_identical(1_000_000, tmp_path, parquet=False)
