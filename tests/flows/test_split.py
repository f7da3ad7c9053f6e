from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from flows.errors import DataRefused
from flows.spec import Spec
from flows.split import merged_labels, split
from flows.tables import read_parquet, write_parquet


def rows(n=300, *, seed=0, classes=("a", "b")):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "__row__": np.arange(n),
            "__record__": np.arange(1, n + 1),
            "__given__": False,
            "key": [f"k{i}" for i in range(n)],
            "x": rng.normal(size=n),
            "y": np.array(classes)[rng.integers(0, len(classes), n)],
        }
    )


def run(tmp_path, frame, *, task="binary", previous=None, schema=None, data=None, **options):
    values = {"source": "-", "target": "y", **({"id": "key"} if data is None else data)}
    spec = Spec.model_validate({"name": "n", "task": task, "data": values, "split": options})
    write_parquet(frame, tmp_path / "clean.parquet")
    facts = split(spec, tmp_path / "clean.parquet", tmp_path, previous=previous, schema=schema)
    ledger = read_parquet(tmp_path / "ledger.parquet")
    assert json.loads((tmp_path / "split.json").read_text("utf-8")) == facts
    assert ledger["row"].tolist() == frame["__row__"].tolist()
    return facts, ledger


def refused(tmp_path, frame, **options):
    with pytest.raises(DataRefused) as caught:
        run(tmp_path, frame, **options)
    assert caught.value.failures
    return str(caught.value)


def test_small_tables_have_a_test_side_and_five_folds(tmp_path):
    facts, ledger = run(tmp_path, rows())
    assert set(ledger["side"]) == {"train", "test"}
    assert set(ledger["fold"][ledger["side"] == "train"]) == set(range(5))
    assert (ledger["fold"][ledger["side"] == "test"] == -1).all()
    assert facts["counts"]["test"]["rows"] == pytest.approx(60, abs=8)
    assert facts["folds"] == pytest.approx([48] * 5, abs=12)


def test_large_tables_have_three_sides(tmp_path):
    facts, ledger = run(tmp_path, rows(10_000))
    shares = ledger["side"].value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.2, abs=0.01)
    assert shares["validation"] == pytest.approx(0.2, abs=0.01)
    assert (ledger["fold"] == -1).all()
    assert facts["folds"] == []


def test_classes_are_balanced_on_all_sides(tmp_path):
    facts, _ = run(tmp_path, rows(2000, classes=["a"] * 9 + ["b"]), folds=0)
    for side in facts["counts"].values():
        assert side["classes"]["b"] / side["rows"] == pytest.approx(0.1, abs=0.02)


def test_the_target_of_a_regression_is_balanced_by_quantile(tmp_path):
    frame = rows(1000).assign(y=np.random.default_rng(0).lognormal(size=1000))
    _, ledger = run(tmp_path, frame, task="regression")
    test = frame["y"][ledger["side"] == "test"]
    assert test.median() == pytest.approx(frame["y"].median(), rel=0.15)


def test_sides_do_not_depend_on_order_or_other_rows(tmp_path):
    frame = rows()
    facts, ledger = run(tmp_path, frame)
    sides = dict(zip(ledger["identity"], ledger["side"], strict=True))
    more = pd.concat([rows(450, seed=1).iloc[300:], frame.sample(frac=1, random_state=0)])
    again, grown = run(tmp_path, more.assign(__row__=range(450)), previous=facts)
    kept = grown[grown["identity"].isin(sides)]
    assert again["frozen"]
    assert len(kept) == 300
    assert (kept["side"] == kept["identity"].map(sides)).all()


def test_growing_past_the_folds_keeps_the_test_side(tmp_path):
    frame = rows(11_000)
    facts, small = run(tmp_path, frame.iloc[:9000])
    _, large = run(tmp_path, frame, previous=facts["scheme"])
    assert set(large["side"]) == {"train", "validation", "test"}
    assert ((small["side"] == "test") == (large["side"][:9000] == "test")).all()


def test_a_changed_setting_ends_the_recorded_scheme_and_says_so(tmp_path):
    facts, _ = run(tmp_path, rows())
    again, _ = run(tmp_path, rows(), previous=facts, seed=1)
    assert not again["frozen"]
    assert "seed was 0 and is 1" in again["reasons"][0]


def test_another_seed_is_another_split(tmp_path):
    _, one = run(tmp_path, rows())
    _, other = run(tmp_path, rows(), seed=1)
    assert (one["side"] != other["side"]).any()


def test_without_an_id_equal_rows_fall_together(tmp_path):
    frame = pd.concat([rows(200)] * 3, ignore_index=True).assign(__row__=range(600))
    facts, ledger = run(tmp_path, frame.drop(columns="key"), data={})
    assert ledger.groupby("identity")[["side", "fold"]].nunique().max(axis=None) == 1
    assert facts["identities"] == 200
    assert any("no id" in warning for warning in facts["warnings"])
    assert any("400 rows equal" in warning for warning in facts["warnings"])


def test_the_identity_rests_on_features_without_target_and_weight(tmp_path):
    frame = rows().drop(columns="key").assign(w=1.0)
    facts, ledger = run(tmp_path, frame, data={"weight": "w"})
    changed = frame.assign(w=2.0, y=frame["y"].map({"a": "b", "b": "a"}))
    _, again = run(tmp_path, changed, data={"weight": "w"})
    assert facts["scheme"]["columns"] == ["x"]
    assert (ledger["identity"] == again["identity"]).all()


def test_the_schema_says_what_a_feature_is(tmp_path):
    columns = [{"name": "x", "kind": "number"}, {"name": "key", "kind": "text"}]
    facts, _ = run(tmp_path, rows(), data={}, schema={"task": "binary", "columns": columns})
    assert facts["scheme"]["columns"] == ["x"]


def test_groups_stay_together_in_sides_and_folds(tmp_path):
    frame = rows(600).assign(house=[f"h{i // 6}" for i in range(600)])
    for by in ("group", "row"):
        _, ledger = run(tmp_path, frame, data={"id": "key", "group": "house"}, by=by)
        per_group = ledger.assign(house=frame["house"]).groupby("house")
        assert per_group[["side", "fold", "group"]].nunique().max(axis=None) == 1


def test_time_puts_the_latest_rows_on_the_test_side(tmp_path):
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(300) // 2, "D")
    frame = rows().assign(day=days).sample(frac=1, random_state=0)
    data = {"id": "key", "time": "day"}
    facts, ledger = run(tmp_path, frame, data=data, by="time", embargo="3d")
    day = frame["day"].reset_index(drop=True)
    spans = day.groupby(ledger["side"].to_numpy()).agg(["min", "max"])
    assert spans.loc["train", "max"] < spans.loc["validation", "min"] - pd.Timedelta(days=3)
    assert spans.loc["validation", "max"] < spans.loc["test", "min"] - pd.Timedelta(days=3)
    assert (ledger["side"] == "embargo").sum() == 12
    assert "12 rows lie in the embargo" in facts["reasons"][0]


def test_groups_on_both_sides_of_a_boundary_in_time_are_warned_of(tmp_path):
    frame = rows().assign(day=np.arange(300.0), patient=np.arange(300) % 40)
    data = {"id": "key", "time": "day", "group": "patient"}
    facts, _ = run(tmp_path, frame, data=data, by="time")
    assert any("40 groups of patient lie on both sides" in said for said in facts["warnings"])
    apart, _ = run(tmp_path, frame.assign(patient=np.arange(300) // 10), data=data, by="time")
    assert not any("groups" in said for said in apart["warnings"])


def test_boundaries_in_time_only_move_forward(tmp_path):
    frame = rows().assign(day=np.arange(300.0))
    data = {"id": "key", "time": "day"}
    facts, before = run(tmp_path, frame, data=data, by="time")
    _, after = run(tmp_path, frame.iloc[:280], data=data, by="time", previous=facts)
    assert (before["side"][:280] == after["side"]).all()


def test_a_row_without_a_time_is_named(tmp_path):
    frame = rows().assign(day=["2024-01-01"] * 299 + ["yesterday"])
    message = refused(tmp_path, frame, data={"time": "day"}, by="time")
    assert "record 300: yesterday" in message


def test_a_given_test_file_is_the_test_side_and_its_rows_leave_training(tmp_path):
    frame = pd.concat([rows(200), rows(40).assign(__given__=True)], ignore_index=True)
    frame = frame.assign(__row__=range(240))
    facts, ledger = run(tmp_path, frame, by="given", test_source="t.csv")
    assert (ledger["side"][200:] == "test").all()
    assert (ledger["side"][:40] == "overlap").all()
    assert "40 train rows are also in the given test file" in facts["warnings"][0]
    test = set(ledger["identity"][200:])
    assert not test & set(ledger["identity"][ledger["side"] == "train"])


def test_a_class_only_in_the_given_test_file_is_refused_with_a_hint(tmp_path):
    test = rows(40).assign(__given__=True, y="a.", key=[f"t{i}" for i in range(40)])
    frame = pd.concat([rows(200), test], ignore_index=True)
    message = refused(tmp_path, frame.assign(__row__=range(240)), by="given", test_source="t.csv")
    assert "class a. is on the test side and on no train row" in message
    assert "replace" in message


# rare classes


def with_rare(n_rare=4):
    frame = rows(300)
    frame.loc[: n_rare - 1, "y"] = "rare"
    return frame


def test_a_rare_class_is_an_error_that_names_it(tmp_path):
    message = refused(tmp_path, with_rare(), task="multiclass")
    assert "class rare needs 6 different rows for 5 folds and the test side, found 4" in message
    assert "train_only" in message


def test_a_rare_class_can_be_trained_on_only(tmp_path):
    facts, ledger = run(tmp_path, with_rare(), task="multiclass", rare="train_only")
    assert (ledger["side"][:4] == "train").all()
    assert (ledger["fold"][:4] == -1).all()
    assert facts["train_only"] == ["rare"]
    assert "4 rows of them are trained on and never judged" in facts["warnings"][0]


def test_rare_classes_can_be_merged_and_stay_merged(tmp_path):
    frame = with_rare(8)
    frame.loc[4:7, "y"] = "odd"
    facts, _ = run(tmp_path, frame, task="multiclass", rare="merge")
    assert facts["merged"] == {"odd": "other", "rare": "other"}
    assert set(merged_labels(frame["y"], facts)) == {"a", "b", "other"}
    assert facts["counts"]["train"]["classes"].keys() == {"a", "b", "other"}
    again, _ = run(tmp_path, frame, task="multiclass", rare="merge", previous=facts)
    assert again["merged"] == facts["merged"]


def test_every_fold_can_learn_every_class(tmp_path):
    _, ledger = run(tmp_path, with_rare(6), task="multiclass")
    folds = ledger["fold"][:6][ledger["side"][:6] == "train"]
    assert len(set(folds)) > 1
    assert (ledger["side"][:6] == "test").any()


# too little to split


def test_too_few_rows_are_refused_before_any_work(tmp_path):
    message = refused(tmp_path, rows(1))
    assert "needs at least 12 rows, found 1" in message


def test_more_folds_than_rows_are_refused(tmp_path):
    assert "at least 62 rows" in refused(tmp_path, rows(20), folds=30)


def test_a_single_class_is_refused(tmp_path):
    assert "every row has a" in refused(tmp_path, rows().assign(y="a"))


def test_a_constant_target_is_refused(tmp_path):
    assert "every row has 1.5" in refused(tmp_path, rows().assign(y=1.5), task="regression")


def test_a_row_without_its_id_is_named(tmp_path):
    frame = rows()
    frame.loc[7, "key"] = None
    message = refused(tmp_path, frame)
    assert "record 8" in message
    assert "data.id" in message


def test_an_id_that_repeats_is_reported_and_stays_together(tmp_path):
    frame = rows()
    frame["key"] = frame["key"].where(frame.index > 9, "same")
    facts, ledger = run(tmp_path, frame)
    assert "not unique: 9 rows" in facts["warnings"][0]
    assert set(ledger["side"][:10]) in ({"train"}, {"test"})


def test_twelve_rows_can_be_split(tmp_path):
    frame = rows(12).assign(y=["a", "b"] * 6)
    facts, _ = run(tmp_path, frame)
    assert facts["counts"]["test"]["rows"] >= 2
