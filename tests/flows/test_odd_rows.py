"""Drawn rows come evenly from all of a source; chosen ones show what these lack; both in bounded memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from flows.distinct import Distinct
from flows.odd_rows import FIRST, KEPT, PER_LABEL, SHAPES, OddRows
from flows.shapes import shapes
from flows.spread import Spread

ROWS = 20_000


def in_blocks(table, *sizes):
    """Cut a table into blocks of these sizes, over and over."""
    start, turn = 0, 0
    while start < table.num_rows:
        size = sizes[turn % len(sizes)]
        yield start, table.slice(start, size)
        start, turn = start + size, turn + 1


def spread_of(table, most, *sizes):
    found = Spread(most)
    for _, block in in_blocks(table, *sizes):
        found.add(block)
    return found.rows()


def test_as_many_rows_as_asked_are_drawn_evenly_in_their_order():
    table = pa.table({"n": np.arange(ROWS)})
    found, places = spread_of(table, 1_000, 700, 3_000)
    assert found["n"].to_pylist() == places.tolist()
    assert len(places) == 1_000
    assert (np.diff(places) > 0).all()
    assert np.histogram(places, 10, (0, ROWS))[0].min() > 70


def test_how_the_source_is_cut_into_blocks_draws_no_other_rows():
    table = pa.table({"n": np.arange(ROWS)})
    one, other = (spread_of(table, 500, *sizes)[1] for sizes in ((ROWS,), (37, 4_000)))
    assert one.tolist() == other.tolist()


def test_a_source_with_fewer_rows_is_kept_as_it_is():
    assert spread_of(pa.table({"n": np.arange(30)}), 500, 7)[1].tolist() == list(range(30))


@pytest.mark.parametrize(
    ("text", "shape"),
    [("12.75", "0.0"), ("007", "00"), ("0.5", "0.0"), ("-3", "-0"), ("1e-10", "0e-0"), ("", ""),
     ("2024-01-31 05:00", "0-0-0 0:0"), ("12 kg", "0 kg"), ("12 €", "0 €"), ("강남 3구", "강남 0구"),
     ("n.d.", "n.d."), ("1.234,50", "0.0,0"), (None, None)],
)  # fmt: skip
def test_a_shape_has_one_zero_for_each_run_of_digits(text, shape):
    cells = pa.array(["5", text, "x"])
    assert shapes(cells).to_pylist() == ["0", shape, "x"]
    assert shapes(cells.slice(1, 1)).to_pylist() == [shape]


@pytest.mark.parametrize("cells", [[], [None], ["", ""], [None, ""]])
def test_cells_without_text_have_shapes_too(cells):
    assert shapes(pa.array(cells, pa.utf8())).to_pylist() == cells


def chosen(frame, target="-", *, drawn=(), sizes=(900,)):
    """Return the places of rows that show what the drawn ones lack, without the first ones."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    large = [pa.types.is_large_string(kind.type) for kind in table.schema]
    kinds = zip(table.schema, large, strict=True)
    table = table.cast(pa.schema([k.with_type(pa.string()) if is_ else k for k, is_ in kinds]))
    odd = OddRows(table.schema, target)
    for start, block in in_blocks(table, *sizes):
        odd.add(block, start)
    places = np.array(sorted(drawn), np.int64)
    found = odd.lacking(table.take(pa.array(places)), places, np.zeros(len(places), bool))
    assert found is not None
    rows, where = found
    pd.testing.assert_frame_equal(
        rows.to_pandas(), frame.iloc[where].reset_index(drop=True), check_dtype=False
    )
    return [place for place in where.tolist() if place >= FIRST]


EVEN = range(0, ROWS, 7)


def test_the_first_rows_that_show_something_are_chosen_and_no_more():
    frame = pd.DataFrame({"x": np.arange(ROWS) % 900 + 100.0, "t": ["5"] * ROWS})
    frame["t"] = frame["t"].astype(object)
    frame.loc[[7_001, 7_002, 7_004, 7_005], "t"] = "5.5"
    frame.loc[[9_001, 9_003, 9_005, 9_006], "x"] = -999.0
    frame.loc[19_998, "x"] = np.nan
    expected = [7_001, 7_002, 7_004, 9_001, 9_003, 9_005, 19_998]
    assert len(expected) == 2 * KEPT + 1
    assert chosen(frame, drawn=EVEN) == expected


def test_what_the_drawn_rows_hold_is_not_chosen():
    frame = pd.DataFrame({"x": np.arange(ROWS) % 900 + 100.0, "t": ["5"] * ROWS})
    frame["t"] = frame["t"].astype(object)
    frame.loc[[7_001, *EVEN[300:310]], "t"] = "5.5"
    assert chosen(frame, drawn=EVEN) == []


def test_free_text_is_not_watched():
    words = [f"{chr(97 + k % 26)}{chr(97 + k // 26 % 26)} said {k}" for k in range(ROWS)]
    assert len(set(shapes(pa.array(words)).to_pylist())) > SHAPES
    assert chosen(pd.DataFrame({"words": words}), drawn=EVEN) == []


def test_rows_of_a_rare_label_are_chosen_until_they_are_enough():
    frame = pd.DataFrame({"label": np.where(np.arange(ROWS) % 2, "a", "b")}, dtype=object)
    late = [15_001 + 2 * k for k in range(PER_LABEL + 8)]
    frame.loc[late, "label"] = "rare"
    drawn = [*range(0, 15_000, 7), *late[:4]]
    found = chosen(frame, "label", drawn=drawn)
    assert found == late[4:PER_LABEL]


def test_values_of_a_regression_are_no_labels():
    frame = pd.DataFrame({"price": np.arange(ROWS) % 700})
    assert chosen(frame, "price", drawn=EVEN) == chosen(frame, drawn=EVEN)


def test_rows_that_no_longer_count_are_let_go(monkeypatch):
    monkeypatch.setattr("flows.odd_rows.WAITING", 50)
    frame = pd.DataFrame({"rising": np.arange(ROWS, dtype=float), "same": 1.0})
    assert chosen(frame, drawn=EVEN[:-1], sizes=(90,)) == [ROWS - 1]


def counted(cells, most=1 << 22, size=777):
    found = Distinct(most=most)
    for start in range(0, len(cells), size):
        found.add(pa.chunked_array([cells.slice(start, size)]))
    return found.counted()


@pytest.mark.parametrize("most", [1 << 22, 1_000])
def test_values_are_counted_exactly_or_nearly_in_bounded_memory(most):
    values = np.random.default_rng(0).integers(0, 6_000, ROWS)
    for cells in (pa.array(values), pa.array([f"c{v}" for v in values])):
        found = counted(cells, most)
        exact = len(np.unique(values))
        assert found.distinct == exact if most > ROWS else abs(found.distinct / exact - 1) < 0.1
        assert (found.rows, found.present, found.repeats) == (ROWS, ROWS, True)


@pytest.mark.parametrize("most", [1 << 22, 1_000])
def test_that_no_value_repeats_is_told_however_many_there_are(most):
    values = np.random.default_rng(0).permutation(ROWS)
    found = counted(pa.array(values), most)
    assert (found.unique, found.in_steps) == (True, False)
    assert counted(pa.array(np.arange(ROWS)), most).in_steps
    assert counted(pa.array([str(k) for k in range(5, ROWS)]), most).in_steps


def test_one_value_twice_or_one_gap_makes_no_id():
    texts = [f"c{k}" for k in range(ROWS)]
    assert counted(pa.array(texts)).unique
    assert not counted(pa.array([*texts, "c17"])).unique
    assert not counted(pa.array([*texts, ""])).unique
    assert not counted(pa.array([*texts, None])).unique
    assert not counted(pa.array([*range(9), 11])).in_steps
