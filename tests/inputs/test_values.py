"""Inputs 46-56, 70-78 and 88: cells, types and shapes."""

import json

import pytest
from small_tables import as_csv, good

from flows.errors import DataRefused, SettingsError


def cells(column, *values, every=False):
    """Put values into a column: the first rows, or in turn into all."""

    def change(header, records):
        place = header.index(column)
        for i in range(len(records) if every else len(values)):
            records[i][place] = values[i % len(values)]

    return change


def profile(case):
    (path,) = case.folder.glob(".penstock/cache/analyze/*/profile.json")
    return {c["name"]: c for c in json.loads(path.read_text())["columns"]}


BROKEN_CELLS = {
    "49 infinity": ("size", ["inf", "1e400"], ["size", "inf"]),
    "50 an integer beyond 2^64": ("size", ["99999999999999999999999", "-inf"], ["size", "99999"]),
    "54 an unknown token for a flag": ("flag", ["perhaps", "maybe"], ["flag", "perhaps"]),
    "56 words among numbers": ("size", ["tall", "short"], ["size", "tall", "number"]),
    "63 units": ("size", ["5kg", "$7"], ["size", "5kg"]),
    "59 a date in another format": ("day", ["31/01/2024", "01/31/2024"], ["day", "31/01/2024"]),
}


@pytest.mark.parametrize(
    ("column", "values", "said"), BROKEN_CELLS.values(), ids=BROKEN_CELLS.keys()
)
def test_cells_that_break_the_contract_are_refused_with_rows_and_values(case, column, values, said):
    case.agreed().write_good(cells(column, *values))
    message = case.refusal(DataRefused)
    for word in said:
        assert word in message
    assert f"column {column}: 2 of 80" in message
    assert f"table.csv record 1: {values[0]}" in message
    assert "    -> " in message


def test_a_few_bad_rows_are_set_aside_and_counted(case):
    case.data = "max_fraction = 0.05"
    case.agreed().write_good(cells("size", "tall", "short"))
    assert case.check()["quarantined"] == 2


def test_47_a_column_without_values_is_left_out_and_said(case):
    facts = case.write_good(cells("size", "", every=True)).check()
    assert facts["left_out"] == {"size": "no cell has a value"}


def test_48_missing_targets_are_refused_with_their_number(case):
    message = case.write_good(cells("grade", "", "", "")).refusal(DataRefused)
    assert "grade.present, column grade: 3 of 80" in message
    assert "table.csv record 3: <missing>" in message
    assert "leave out rows without a target" in message


def test_51_an_integer_that_a_double_cannot_hold_is_refused(case):
    case.agreed().write_good(cells("size", "9007199254740993", "9007199254740995"))
    message = case.refusal(DataRefused)
    assert "9007199254740993" in message


def test_52_leading_zeros_are_kept(case):
    def change(header, records):
        header.insert(0, "code")
        for i, record in enumerate(records):
            record.insert(0, f"00{i % 7}")

    case.write_good(change).check()
    code = profile(case)["code"]
    assert code["kind"] == "category"
    assert code["levels"][0][0].startswith("00")


@pytest.mark.parametrize("token", ["NA", "None", "null"])
def test_53_a_token_is_missing_only_where_the_settings_say_so(case, token):
    case.write_good(cells("colour", token, "red", "blue", every=True)).check()
    colour = profile(case)["colour"]
    assert token in [level for level, _ in colour["levels"]]
    assert colour["missing"] == 0


def test_53_a_declared_token_is_missing_and_counted(case):
    case.data = 'missing = ["", "NA"]'
    case.write_good(cells("colour", "NA", "red", "", "blue", every=True)).check()
    colour = profile(case)["colour"]
    assert colour["missing"] == 40
    assert colour["tokens"] == {"": 20, "NA": 20}


@pytest.mark.parametrize("tokens", [("True", "False"), ("yes", "no"), ("1", "0"), ("Y", "N")])
def test_54_the_usual_tokens_of_a_flag_are_read(case, tokens):
    case.write_good(cells("flag", *tokens, tokens[0], every=True))
    assert case.check()["quarantined"] == 0


def test_55_a_flag_may_have_missing_cells(case):
    case.write_good(cells("flag", "yes", "no", "", every=True)).check()
    flag = profile(case)["flag"]
    assert flag["kind"] == "boolean"
    assert flag["missing"] > 20


def test_70_one_row_is_too_few(case):
    message = case.write_good(rows=1).refusal(DataRefused)
    assert "need at least 20 rows for a test side and 5 folds, have 1" in message


def test_71_fewer_rows_than_folds_is_too_few(case):
    case.rest = "[split]\nfolds = 50"
    header, records = good(30)
    message = case.write(as_csv(header, records)).refusal(DataRefused)
    assert "need at least 125 rows for a test side and 50 folds, have 30" in message


def test_72_a_target_with_one_class_is_refused(case):
    message = case.write_good(cells("grade", "good", every=True)).refusal(DataRefused)
    assert "column grade" in message
    assert "at least two classes, all 80 rows are good (80)" in message
    assert "look at data.target" in message


def test_73_a_class_with_one_row_is_refused_by_name(case):
    message = case.write_good(cells("grade", "rare")).refusal(DataRefused)
    assert "class rare needs 6 different rows for 5 folds and the test side, found 1" in message
    assert 'split.rare = "train_only"' in message


def test_74_a_class_with_fewer_rows_than_folds_is_refused_by_name(case):
    message = case.write_good(cells("grade", "rare", "rare", "rare")).refusal(DataRefused)
    assert "class rare needs 6 different rows for 5 folds and the test side, found 3" in message


def test_73_rare_classes_may_stay_in_train(case):
    case.rest = '[split]\nrare = "train_only"'
    assert case.write_good(cells("grade", "rare", "rare")).check()["rows"] == 80


def test_75_a_class_that_only_the_given_test_file_has_is_refused_or_said(case):
    header, records = good(30)
    records[3][-1] = "unheard"
    (case.folder / "test.csv").write_text(as_csv(header, records))
    case.rest = '[split]\nby = "given"\ntest_source = "test.csv"'
    message = case.write_good().refusal(DataRefused)
    assert "unheard" in message


def test_76_a_class_of_the_contract_that_does_not_occur_is_warned_of(case):
    case.write_good(cells("grade", "good", "bad", "fair", every=True)).check()
    case.write_good()
    warnings = case.check()["warnings"]
    assert any("fair" in warning and "class" in warning for warning in warnings)


def test_76_a_class_that_only_the_costs_name_is_refused_before_training(case):
    case.rest = "[decision.costs.good]\nbad = 1\n[decision.costs.bad]\nugly = 5"
    message = case.write_good().refusal(SettingsError)
    assert "case.toml: decision.costs: " in message
    assert "ugly" in message
    assert "the cost of answering 'good' where 'bad' is true is missing" in message


def test_77_a_constant_number_as_target_is_refused(case):
    case.target = "size"
    message = case.write_good(cells("size", "5.25", every=True)).refusal(DataRefused)
    assert "column size" in message
    assert "the target must vary, all 80 rows hold 5.25" in message


def test_78_a_constant_feature_is_left_out_and_said(case):
    facts = case.write_good(cells("colour", "red", every=True)).check()
    assert facts["left_out"] == {"colour": 'every value is "red"'}


WRONG_SETTINGS = {
    "negative": ("[train]\nepochs = -3", "case.toml:8: train.epochs: must be greater", "-3"),
    "a key twice": ("[train]\nepochs = 3\nepochs = 4", "case.toml: not valid TOML", "line 9"),
    "NaN": ("[train]\nlr = nan", "case.toml:8: train.lr: must be a finite number", "nan"),
    "2^64": ("[train]\nseed = 18446744073709551616", "case.toml:8: train.seed: must be less", "18"),
    "a bare yes": ("[train]\nlog_target = yes", "case.toml: not valid TOML", "line 8"),
    "another type": ('[train]\nepochs = "ten"', "case.toml:8: train.epochs: must be a", "'ten'"),
    "an unknown table": ("[trian]\nepochs = 3", "case.toml:7: trian", "did you mean train?"),
}


@pytest.mark.parametrize(("text", "where", "found"), WRONG_SETTINGS.values(), ids=WRONG_SETTINGS)
def test_88_every_mistake_is_refused_with_file_line_key_and_value(case, text, where, found):
    case.rest = text
    message = case.refusal(SettingsError)  # there is no table: the settings come first
    assert where in message
    assert found in message


def test_88_settings_are_refused_before_the_data_is_touched(case):
    case.data = "separater = ';'"
    message = case.refusal(SettingsError)
    assert "case.toml" in message
    assert "did you mean separator?" in message
