"""Inputs 70-87: shapes and statistics."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from inputs_page import numbered
from small_tables import as_csv, cells, good

from expectations.drift import compared, counted, profile_of, settled
from expectations.gate_rules import Rules, deciding_metric
from expectations.metrics import METRICS
from flows.errors import DataRefused, SettingsError

REPOSITORY = Path(__file__).resolve().parents[2]


def stage(case, name, file):
    """Return what a stage wrote."""
    (path,) = case.folder.glob(f".penstock/cache/{name}/*/{file}")
    return json.loads(path.read_text("utf-8"))


@numbered("70 one row")
def test_70_one_row_is_too_few(case):
    message = case.write_good(rows=1).refusal(DataRefused)
    assert "need at least 20 rows for a test side and 5 folds, have 1" in message


@numbered("71 fewer rows than folds")
def test_71_fewer_rows_than_folds_is_too_few(case):
    case.rest = "[split]\nfolds = 50"
    header, records = good(30)
    message = case.write(as_csv(header, records)).refusal(DataRefused)
    assert "need at least 125 rows for a test side and 50 folds, have 30" in message


@numbered("72 a target with one class")
def test_72_a_target_with_one_class_is_refused(case):
    message = case.write_good(cells("grade", "good", every=True)).refusal(DataRefused)
    assert "column grade" in message
    assert "at least two classes, all 80 rows are good (80)" in message
    assert "look at data.target" in message


@numbered("73 a class with one row")
def test_73_a_class_with_one_row_is_refused_by_name(case):
    message = case.write_good(cells("grade", "rare")).refusal(DataRefused)
    assert "class rare needs 6 different rows for 5 folds and the test side, found 1" in message
    assert 'split.rare = "train_only"' in message


@numbered("74 a class with fewer rows than folds")
def test_74_a_class_with_fewer_rows_than_folds_is_refused_by_name(case):
    message = case.write_good(cells("grade", "rare", "rare", "rare")).refusal(DataRefused)
    assert "class rare needs 6 different rows for 5 folds and the test side, found 3" in message


@numbered("73 rare classes that may stay in train")
def test_73_rare_classes_may_stay_in_train(case):
    case.rest = '[split]\nrare = "train_only"'
    facts = case.write_good(cells("grade", "rare", "rare")).check()
    assert facts["rows"] == 80
    (warning,) = [warning for warning in facts["warnings"] if "rare" in warning]
    case.handled(warning)


@numbered("75 a class that only the test file has")
def test_75_a_class_that_only_the_given_test_file_has_is_refused_or_said(case):
    header, records = good(30)
    records[3][-1] = "unheard"
    (case.folder / "test.csv").write_text(as_csv(header, records))
    case.rest = '[split]\nby = "given"\ntest_source = "test.csv"'
    message = case.write_good().refusal(DataRefused)
    assert "unheard" in message


@numbered("76 a class of the contract that does not occur")
def test_76_a_class_of_the_contract_that_does_not_occur_is_warned_of(case):
    case.write_good(cells("grade", "good", "bad", "bad", "fair", "good", every=True)).check()
    case.write_good()
    warnings = case.check()["warnings"]
    (warning,) = [warning for warning in warnings if "fair" in warning and "class" in warning]
    case.handled(warning)


@numbered("76 a class that only the costs name")
def test_76_a_class_that_only_the_costs_name_is_refused_before_training(case):
    case.rest = "[decision.costs.good]\nbad = 1\n[decision.costs.bad]\nugly = 5"
    message = case.write_good().refusal(SettingsError)
    assert "case.toml: decision.costs: " in message
    assert "ugly" in message
    assert "the cost of answering 'good' where 'bad' is true is missing" in message


@numbered("77 a constant target")
def test_77_a_constant_number_as_target_is_refused(case):
    case.target = "size"
    message = case.write_good(cells("size", "5.25", every=True)).refusal(DataRefused)
    assert "column size" in message
    assert "the target must vary, all 80 rows hold 5.25" in message


@numbered("78 a constant feature")
def test_78_a_constant_feature_is_left_out_and_said(case):
    facts = case.write_good(cells("colour", "red", every=True)).check()
    assert facts["left_out"] == {"colour": 'every value is "red"'}
    case.handled(f"left out: colour ({facts['left_out']['colour']})")


@numbered("75 a level that only new rows have")
def test_75_a_level_that_training_has_not_seen_is_warned_of(case):
    case.agreed().write_good(cells("colour", "violet"))
    warnings = case.check()["warnings"]
    (warning,) = [warning for warning in warnings if "violet" in warning]
    case.handled(f"the row is kept, the level is encoded as unknown, and counted: {warning}")


@numbered("79 a copy of the target")
def test_79_a_copy_of_the_target_is_found(case):
    def change(header, records):
        header.insert(0, "decision")
        for record in records:
            record.insert(0, record[-1].upper())

    message = case.write_good(change).refusal(DataRefused)
    assert "decision" in message
    assert "decision is grade under another name" in message


@numbered("80 every row twice")
def test_80_rows_that_are_one_row_twice_stay_on_one_side(case):
    header, records = good()
    facts = case.write(as_csv(header, [*records, *records])).check()
    assert facts["rows"] == 160
    (alarm,) = [a["message"] for a in facts["alarms"] if a["kind"] == "duplicate_rows"]
    (path,) = case.folder.glob(".penstock/cache/split/*/ledger.parquet")
    ledger = pd.read_parquet(path)
    assert (
        len(ledger[["identity", "side", "fold"]].drop_duplicates()) == ledger["identity"].nunique()
    )
    case.handled(f"{alarm}; equal rows have one identity, so they are on one side and in one fold")


@numbered("81 one row in a thousand is of the other class")
def test_81_a_very_rare_class_is_on_every_side_and_judged_by_more_than_accuracy(case):
    rows = [[f"{i * 37 % 1009 / 10}", "bad" if i % 1000 == 7 else "good"] for i in range(12_000)]
    facts = case.write(as_csv(["size", "grade"], rows)).check()
    split = stage(case, "split", "split.json")
    assert all(side["classes"]["bad"] for side in split["counts"].values() if side.get("classes"))
    assert {"roc_auc", "average_precision"} <= set(METRICS)
    assert deciding_metric("binary", Rules()) == "roc_auc"
    case.handled(
        "every side gets its share of the class; the deciding metric is the area under the ROC curve, average "
        f"precision and the answer of a constant stand beside it: {facts['sentence']}"
    )


@numbered("82 rows sorted by class")
def test_82_the_order_of_rows_has_no_say_in_the_split(case):
    header, records = good()
    ordered = sorted(records, key=lambda record: record[-1])
    case.write(as_csv(header, ordered)).check()
    (path,) = case.folder.glob(".penstock/cache/split/*/ledger.parquet")
    ledger = pd.read_parquet(path)
    grades = pd.Series([record[-1] for record in ordered])
    for side in ("train", "test"):
        assert set(grades[(ledger["side"] == side).to_numpy()]) == {"good", "bad"}
    case.handled(
        "a row's side follows from a hash of its own cells: sorted rows are split as shuffled ones are"
    )


@numbered("83 more features than rows")
def test_83_more_features_than_rows_are_warned_of(case):
    names = [f"c{i}" for i in range(40)]
    rows = [
        [*(str(i * 7919 * (j + 3) % 997) for j in range(40)), "good" if i % 2 else "bad"]
        for i in range(32)
    ]
    facts = case.write(as_csv([*names, "grade"], rows)).check()
    (warning,) = [warning for warning in facts["warnings"] if "more rows than features" in warning]
    case.handled(warning)


def emptied(_, records):
    for record in records[:2]:
        record[:4] = [""] * 4


@numbered("84 rows without a single cell")
def test_84_empty_rows_are_set_aside_up_to_max_fraction(case):
    case.agreed().write_good(emptied)
    message = case.refusal(DataRefused)
    assert "row.empty: 2 of 80" in message
    assert "table.csv record 1" in message
    case.data = "max_fraction = 0.05"
    facts = case.check()
    assert facts["quarantined"] == 2
    case.handled(
        f"set aside up to data.max_fraction: {facts['sentence']}; above it refused: row.empty"
    )


@numbered("85 a column in another unit")
def test_85_values_a_thousand_times_as_large_are_told_by_column(case):
    def change(_, records):
        for record in records:
            record[0] = f"{float(record[0]) * 1000:.2f}"

    case.agreed().write_good(change)
    warnings = case.check()["warnings"]
    (warning,) = [warning for warning in warnings if "size" in warning]
    case.handled(warning)
    path = case.folder / "case.contract.toml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("accepted = false", "accepted = true"), "utf-8")
    message = case.refusal(DataRefused)
    assert "size.range, column size: 80 of 80" in message


@numbered("86 classes in other shares than before")
def test_86_classes_in_other_shares_are_told_with_sizes(case):
    names = ["good", "bad"]
    before = profile_of(np.repeat([0, 1], [900, 100]), names)
    now = counted(before, np.repeat([0, 1], [100, 900]), names)
    (found,) = settled({"grade": compared(before, now)})
    assert found["drifted"]
    assert found["size"] == "large"
    case.handled(
        f"told against the champion's data, the target like any column: {found['column']} drifted, "
        f"stability index {found['psi']:.2f} ({found['size']}), q = {found['q']:.1g}"
    )


@numbered("87 a table with far fewer rows than before")
def test_87_a_table_that_shrank_is_refused_by_the_runs_before(case):
    case.agreed()
    path = case.folder / "case.contract.toml"
    text = path.read_text("utf-8")
    path.write_text(f"{text}\n[history]\nfewer = 0.5\naccepted = true\n", "utf-8")
    for night in range(3):
        left_by_a_run(case, f"night-{night}", rows=400)
    message = case.refusal(DataRefused)
    assert (
        "at least 200 rows, 50% fewer than the median of 3 earlier runs (400), it has 80" in message
    )
    assert "[history] in the contract" in message


def left_by_a_run(case, run, *, rows):
    """Write the summary.json that a run leaves."""
    example = json.loads((REPOSITORY / "docs" / "summary.example.json").read_text("utf-8"))
    folder = case.folder / ".penstock" / "runs" / run
    folder.mkdir(parents=True)
    summary = {**example, "name": "case", "rows": {**example["rows"], "read": rows}}
    (folder / "summary.json").write_text(json.dumps(summary), "utf-8")
