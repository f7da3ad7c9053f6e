"""A sample is chosen by what rows hold: the same rows again, wherever they lie."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from expectations.column import Column
from expectations.contract import Contract
from flows.agree import agree
from flows.analyze import analyze
from flows.json_files import read_json
from flows.load import load
from flows.spec import Spec
from flows.stage_calls import sources
from flows.tables import read_parquet


def table(rows=5_000, *, seed=0):
    draw = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "key": [f"k{i:05}" for i in range(rows)],
            "x": draw.normal(size=rows),
            "n": pd.array(np.where(draw.random(rows) < 0.1, None, 7), "Int64"),
            "risk": np.array(["good", "bad"])[draw.integers(0, 2, rows)],
        }
    )


def loaded(folder, frame, *, split=None, **data):
    frame.to_parquet(folder / "t.parquet", row_group_size=700)
    values = {"source": "t.parquet", "target": "risk", "sample": 500, **data}
    spec = Spec.model_validate(
        {"name": "x", "data": values, "split": split or {}, "path": folder / "x.toml"}
    )
    out = folder / "out"
    out.mkdir(exist_ok=True)
    facts = load(spec, out)
    assert sorted(p.name for p in out.iterdir()) == ["load.json", "table.parquet"]
    return facts, read_parquet(out / "table.parquet")


def test_a_sample_has_as_many_rows_as_asked_and_says_so(tmp_path):
    facts, found = loaded(tmp_path, table())
    assert (len(found), facts["rows"], facts["parts"][0]["rows"]) == (500, 500, 5_000)
    assert facts["sample"] == {"rows": 500, "of": 5_000}
    assert facts["notes"] == ["a sample of 500 of 5,000 rows (10.0%) is used (data.sample)"]
    whole = table().iloc[found["__record__"] - 1].reset_index(drop=True)
    pd.testing.assert_frame_equal(found[list(whole)], whole)


def test_the_order_of_the_rows_does_not_choose(tmp_path):
    _, one = loaded(tmp_path, table())
    shuffled = table().sample(frac=1, random_state=1)
    _, two = loaded(tmp_path, shuffled.reset_index(drop=True))
    assert set(one["key"]) == set(two["key"])


@pytest.mark.parametrize("known", [{}, {"id": "key"}])
def test_rows_of_a_table_that_grows_only_make_room_for_new_ones(tmp_path, known):
    _, before = loaded(tmp_path, table(), **known)
    grown = pd.concat([table(), table(500, seed=1).assign(key=lambda t: "new" + t["key"])])
    _, after = loaded(tmp_path, grown.reset_index(drop=True), **known)
    new = set(after["key"]) - set(before["key"])
    assert all(key.startswith("new") for key in new)
    assert 20 <= len(new) <= 80  # 500 of 5,500 rows are new
    assert len(after) == 500


def test_by_an_id_a_corrected_row_stays(tmp_path):
    _, before = loaded(tmp_path, table(), id="key")
    _, after = loaded(tmp_path, table().assign(x=0.0), id="key")
    assert before["key"].tolist() == after["key"].tolist()


def test_rows_that_are_alike_are_as_many_as_there_is_room_for(tmp_path):
    same = pd.concat([table(400)] * 5, ignore_index=True)
    _, found = loaded(tmp_path, same, sample=1_003)
    assert len(found) == 1_003
    counts = found["key"].value_counts()
    assert sorted(counts[counts != 5]) in ([], [3], [1, 2], [1, 1, 1])
    assert set(counts) <= {5, 3}


def test_a_sample_larger_than_the_table_is_the_table(tmp_path):
    facts, found = loaded(tmp_path, table(), sample=9_999)
    assert (len(found), facts["notes"]) == (5_000, [])


def test_rows_of_a_given_test_file_are_all_used(tmp_path):
    table(900, seed=2).to_parquet(tmp_path / "test.parquet")
    split = {"by": "given", "test_source": "test.parquet"}
    facts, found = loaded(tmp_path, table(), split=split)
    assert (facts["given_rows"], int((~found["__given__"]).sum())) == (900, 500)


def test_only_the_named_columns_and_those_with_a_role_are_read(tmp_path):
    facts, found = loaded(tmp_path, table(), only=["n"], id="key")
    assert facts["columns"] == ["key", "n", "risk"]
    assert list(found)[:3] == ["key", "n", "risk"]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_text_is_narrowed_and_sampled_too(tmp_path, ending):
    frame, path = table(800), tmp_path / f"t.{ending}"
    if ending == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_json(path, orient="records", lines=True)
    facts, found = loaded(tmp_path, frame, source=path.name, only=["x"], sample=100)
    assert facts["columns"] == ["x", "risk"]
    assert len(found) == 100


def test_a_column_that_gets_a_role_is_read_again(tmp_path):
    table().to_parquet(tmp_path / "t.parquet")
    values = {"source": "t.parquet", "target": "risk", "only": ["x"]}
    keys = [
        sources(Spec.model_validate({"name": "x", "data": data, "path": tmp_path / "x.toml"}))
        for data in (values, {**values, "id": "key"}, {**values, "group": "key"})
    ]
    assert len({str(key) for key in keys}) == 3


def test_a_column_that_is_not_read_is_asked_by_no_contract(tmp_path):
    table().to_parquet(tmp_path / "t.parquet")
    values = {"source": "t.parquet", "target": "risk", "only": ["x"]}
    spec = Spec.model_validate({"name": "x", "data": values, "path": tmp_path / "x.toml"})
    contract = Contract(
        columns={
            "x": Column(kind="number"),
            "n": Column(kind="integer"),
            "risk": Column(role="target", kind="category"),
        }
    )
    contract.dump(spec.contract_path)
    (tmp_path / "out").mkdir()
    load(spec, tmp_path / "out")
    analyze(spec, tmp_path / "out" / "table.parquet", tmp_path / "out")
    facts = agree(spec, read_json(tmp_path / "out" / "profile.json"), tmp_path / "out")
    assert facts["features"] == 1
