"""A table that is typed piece by piece is typed as it would be as a whole."""

import numpy as np
import pandas as pd

from flows.formula_schema import with_target
from flows.tables import read_parquet, write_parquet
from flows.typed_rows import TypedRows, pieces
from models import served

ROWS = 70_000
SCHEMA = {
    "target": "y",
    "missing": ["?"],
    "columns": [
        {"name": "n", "kind": "number"},
        {"name": "when", "kind": "date"},
        {"name": "c", "kind": "category"},
        {"name": "k", "kind": "integer"},
    ],
    "derived": [{"name": "when.year", "column": "when", "part": "year"}],
    "target_column": {"name": "y", "kind": "category"},
    "role_columns": [{"name": "w", "kind": "number", "role": "weight"}],
}


def raw_table():
    """Cells of which a piece says something else than the whole: zones, gaps, kinds."""
    draw = np.random.default_rng(0)
    days = np.datetime64("2020-01-01T00:00:00") + draw.integers(0, 10**8, ROWS)
    late = np.arange(ROWS) >= 30_000
    counts = pd.array(draw.integers(0, 9, ROWS), dtype="Int64")
    counts[-5:] = pd.NA
    made = {
        "n": np.where(draw.random(ROWS) < 0.001, "x", draw.normal(size=ROWS).astype(str)),
        "when": np.where(late, np.char.add(days.astype(str), "Z"), days.astype(str)),
        "c": draw.choice(["a", "b", "?", "가"], ROWS),
        "y": draw.choice(["yes", "no", ""], ROWS, p=[0.5, 0.49, 0.01]),
        "w": draw.choice(["1", "0", "2.5"], ROWS),
    }
    frame = pd.DataFrame(made, dtype="str").assign(k=counts)
    return frame.assign(__record__=np.arange(1, ROWS + 1))


def test_pieces_give_the_cells_and_the_faults_of_the_whole(tmp_path):
    raw = raw_table()
    write_parquet(raw, tmp_path / "table.parquet")
    typing = TypedRows(SCHEMA, tmp_path / "table.parquet")
    tables = [typing.typed(piece) for piece in pieces(tmp_path / "table.parquet")]
    assert len(tables) > 1
    found = pd.concat([table.to_pandas() for table in tables], ignore_index=True)
    typed, faults = served.read(raw, SCHEMA)
    given, more = served.read(raw, with_target(SCHEMA))
    pd.testing.assert_frame_equal(found.loc[:, typed.columns], typed, check_exact=True)
    pd.testing.assert_frame_equal(found.loc[:, given.columns], given, check_exact=True)
    assert found["__row__"].tolist() == list(range(ROWS))
    listed = typing.listed()
    features = listed.iloc[: len(faults)]
    pd.testing.assert_frame_equal(features, faults)
    assert set(faults["column"]) == {"n", "when"}
    assert not len(more)
    rest = listed.iloc[len(faults) :]
    absent = np.flatnonzero(raw["y"] == "").tolist()
    assert rest.loc[rest["rule"] == "y.present", "row"].tolist() == absent
    light = np.flatnonzero(raw["w"] == "0").tolist()
    assert rest.loc[rest["rule"] == "w.range", "row"].tolist() == light
    assert typing.missing["k"] == 5


def test_a_table_without_rows_keeps_its_columns(tmp_path):
    write_parquet(raw_table().iloc[:0], tmp_path / "table.parquet")
    typing = TypedRows(SCHEMA, tmp_path / "table.parquet")
    (table,) = [typing.typed(piece) for piece in pieces(tmp_path / "table.parquet")]
    table.to_pandas().to_parquet(tmp_path / "typed.parquet")
    columns = ["__row__", "__record__", "n", "when", "c", "k", "when.year", "y", "w"]
    assert list(read_parquet(tmp_path / "typed.parquet").columns) == columns
    assert not len(typing.listed())
