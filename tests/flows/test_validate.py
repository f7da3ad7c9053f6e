from __future__ import annotations

import json

import pytest

from expectations.column import Column
from expectations.contract import Contract
from flows.engineer import engineer, reading_schema
from flows.errors import DataRefused, SettingsError
from flows.load import load
from flows.settings import load_spec
from flows.tables import read_parquet
from flows.validate import refuse_columns, validate

SPEC = 'name = "t"\n[data]\nsource = "data.csv"\ntarget = "y"\n'
ROWS = [{"x": str(i), "c": "ab"[i % 2], "y": "no" if i % 3 else "yes"} for i in range(40)]


def rows(count=40, **changes):
    """Make rows of text cells; `x={3: "?"}` puts "?" into row 3 of column x."""
    made = [dict(ROWS[i % 40]) for i in range(count)]
    for name, cells in changes.items():
        for place, value in cells.items():
            made[place][name] = value
    return made


def columns(**more):
    return {
        "x": Column(kind="number"),
        "c": Column(kind="category"),
        "y": Column(role="target", kind="category"),
        **more,
    }


@pytest.fixture
def judge(tmp_path, write_spec):
    """Run load, engineer and validate on rows of text; return the facts."""

    def run(table, contract=None, spec=SPEC):
        names = list(table[0])
        text = "\n".join([",".join(names), *(",".join(row[n] for n in names) for row in table)])
        made = load_spec(write_spec(spec, data=text + "\n"))
        contract = contract or Contract(columns=columns())
        load(made, tmp_path)
        schema = reading_schema(made, contract)
        engineer(made, schema, tmp_path / "table.parquet", tmp_path)
        names = ("typed.parquet", "untypable.parquet", "table.parquet")
        paths = [tmp_path / name for name in names]
        return validate(made, contract, schema, *paths, tmp_path, refused=tmp_path / "refused")

    return run


def refusal(judge, *args, **kwargs):
    with pytest.raises(DataRefused) as caught:
        judge(*args, **kwargs)
    assert caught.value.failures
    return str(caught.value)


def test_a_sound_table_passes_whole(judge, tmp_path):
    facts = judge(rows())
    assert (facts["rows"], facts["passed"], facts["quarantined"]) == (40, 40, 0)
    assert (facts["task"], facts["classes"]) == ("binary", {"no": 26, "yes": 14})
    assert facts["failures"] == facts["warnings"] == []
    assert len(read_parquet(tmp_path / "clean.parquet")) == 40
    assert len(read_parquet(tmp_path / "quarantined.parquet")) == 0


def test_a_few_bad_rows_are_set_aside_with_their_cells(judge, tmp_path):
    contract = Contract(accepted=True, columns=columns(x=Column(kind="number", min=0)))
    facts = judge(rows(400, x={3: "5kg", 7: "-1"}, y={7: ""}), contract)
    assert (facts["quarantined"], facts["passed"]) == (2, 398)
    assert facts["rules"] == {"x.type": 1, "y.present": 1, "x.range": 1}
    aside = read_parquet(tmp_path / "quarantined.parquet")
    named = ["row", "source", "record", "rule", "column", "value"]
    assert aside.astype(object).where(aside.notna(), None).to_numpy().tolist() == [
        [3, "data.csv", 4, "x.type", "x", "5kg"],
        [7, "data.csv", 8, "y.present", "y", ""],
        [7, "data.csv", 8, "x.range", "x", "-1"],
    ]
    assert list(aside) == named
    kept = read_parquet(tmp_path / "set_aside.parquet")
    assert kept["__row__"].tolist() == [3, 7]
    assert kept[["x", "c", "y"]].to_numpy().tolist() == [["5kg", "b", "yes"], ["-1", "b", ""]]
    assert 3 not in read_parquet(tmp_path / "clean.parquet")["__row__"].tolist()


def test_one_bad_row_too_many_refuses_the_table(judge, tmp_path):
    said = refusal(judge, rows(100, x={1: "a", 2: "b"}))
    assert (
        "2 of 100 rows (2.00%) break critical rules, at most 1.00% may be set aside (data.max_fraction)"
        in said
    )
    assert "x.type, column x: 2 of 100" in said
    assert "data.csv record 2: a" in said
    refused = tmp_path / "refused"
    assert json.loads((refused / "validation.json").read_text("utf-8"))["quarantined"] == 2
    assert read_parquet(refused / "quarantined.parquet")["value"].tolist() == ["a", "b"]
    assert read_parquet(refused / "set_aside.parquet")["__row__"].tolist() == [1, 2]
    assert not (tmp_path / "clean.parquet").exists()


def test_a_rule_with_a_limit_of_its_own_refuses_the_table_and_is_told_first(judge):
    contract = Contract(accepted=True, columns=columns(x=Column(kind="number", min=0)))
    spec = SPEC + 'max_fraction = { total = 0.5, "x.range" = 0.01 }\n'
    table = rows(100, x={1: "-1", 2: "-2", **dict.fromkeys(range(10, 30), "?")})
    said = refusal(judge, table, contract, spec)
    assert said.startswith(
        "2 of 100 rows (2.00%) break x.range, at most 1% may be set aside by that "
        '(data.max_fraction "x.range")'
    )
    assert said.index("x.range, column x: 2 of 100") < said.index("x.type, column x: 20 of 100")
    assert "data.csv record 2: -1" in said


def test_a_limit_by_column_that_holds_lets_the_table_pass_and_is_in_the_facts(judge):
    spec = SPEC + 'max_fraction = { total = 0.5, x = 0.02, "c.*" = 0 }\n'
    facts = judge(rows(100, x={1: "a", 2: "b"}), spec=spec)
    assert facts["max_fraction"] == 0.5
    assert [(x["name"], x["rows"], x["over"]) for x in facts["limits"]] == [
        ("total", 2, False), ("x", 2, False), ("c.*", 0, False),
    ]  # fmt: skip


def test_a_rule_over_two_columns_lists_the_cells_of_both(judge, tmp_path):
    table = [{**row, "z": str(i + 1)} for i, row in enumerate(rows(300))]
    table[5]["z"] = "-2"
    rule = {"id": "order", "check": "x <= z", "severity": "critical"}
    contract = Contract.model_validate(
        {"columns": columns(z=Column(kind="number")), "rules": [rule]}
    )
    facts = judge(table, contract, SPEC + 'max_fraction = { "check.order" = 0.01 }\n')
    assert facts["rules"] == {"check.order": 1}
    assert facts["limits"][1]["rows"] == 1
    aside = read_parquet(tmp_path / "quarantined.parquet")
    assert aside[["row", "rule", "column", "value"]].to_numpy().tolist() == [
        [5, "check.order", "x", "5"], [5, "check.order", "z", "-2"],
    ]  # fmt: skip


def test_a_limit_that_names_nothing_is_a_settings_error(judge):
    with pytest.raises(SettingsError, match=r"data\.max_fraction names x\.rnge.*mean x\.range"):
        judge(
            rows(),
            Contract(columns=columns(x=Column(kind="number", min=0))),
            SPEC + 'max_fraction = { "x.rnge" = 0.1 }\n',
        )


def test_a_long_cell_is_shortened_in_the_list_and_whole_in_the_row(judge, tmp_path):
    judge(rows(200, x={5: "z" * 5000}))
    (value,) = read_parquet(tmp_path / "quarantined.parquet")["value"]
    assert value.startswith("zzz")
    assert value.endswith("... (5,000 characters)")
    assert len(value) == 1000
    assert read_parquet(tmp_path / "set_aside.parquet")["x"].tolist() == ["z" * 5000]


def test_every_bad_row_is_written_however_many_there_are(judge, tmp_path):
    refusal(judge, rows(3000, x=dict.fromkeys(range(2500), "?")))
    aside = read_parquet(tmp_path / "refused" / "quarantined.parquet")
    assert aside["row"].tolist() == list(range(2500))


def test_everything_that_is_wrong_is_told_at_once(judge):
    contract = Contract(
        accepted=True,
        columns=columns(x=Column(kind="number", max=30), c=Column(kind="category", levels=("a",))),
    )
    said = refusal(judge, rows(y=dict.fromkeys(range(5), "")), contract)
    assert all(rule in said for rule in ("x.range", "c.levels", "y.present"))


def test_proposed_ranges_only_warn(judge):
    facts = judge(rows(), Contract(columns=columns(x=Column(kind="number", max=30))))
    assert facts["quarantined"] == 0
    (warning,) = facts["warnings"]
    assert (warning["rule"], warning["count"], warning["examples"][0]["row"]) == ("x.range", 9, 32)


def test_a_row_without_any_feature_is_set_aside(judge):
    facts = judge(rows(200, x={5: ""}, c={5: ""}))
    assert facts["rules"] == {"row.empty": 1}


def test_a_feature_without_cells_leaves_table_and_schema(judge, tmp_path):
    table = [{**row, "e": "", "d": ""} for row in rows()]
    contract = Contract(columns=columns(e=Column(kind="number", min=0), d=Column(kind="date")))
    facts = judge(table, contract)
    assert facts["dropped"] == {"e": "every cell is missing", "d": "every cell is missing"}
    assert [w["rule"] for w in facts["warnings"]] == ["e.empty", "d.empty"]
    schema = json.loads((tmp_path / "schema.json").read_text("utf-8"))
    assert [entry["name"] for entry in schema["columns"]] == ["x", "c"]
    assert schema["derived"] == schema["rules"] == []
    assert not {"e", "d", "d.year"} & set(read_parquet(tmp_path / "clean.parquet"))


def test_a_constant_feature_is_reported(judge):
    facts = judge(rows(c=dict.fromkeys(range(40), "a")))
    assert [w["rule"] for w in facts["warnings"]] == ["c.constant"]


def test_one_value_with_gaps_is_no_constant(judge):
    facts = judge(rows(c={place: "" if place % 3 else "a" for place in range(40)}))
    assert "c.constant" not in [w["rule"] for w in facts["warnings"]]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (rows(1), "need at least 20 rows for a test side and 5 folds, have 1"),
        (rows(19), "need at least 20 rows"),
        (
            rows(y=dict.fromkeys(range(40), "no")),
            "the target must have at least two classes, all 40 rows are no (40)",
        ),
        (
            rows(x=dict.fromkeys(range(40), ""), c=dict.fromkeys(range(40), "")),
            "every feature is empty",
        ),
        (rows(y=dict.fromkeys(range(40), "")), "y.present, column y: 40 of 40"),
    ],
    ids=["one row", "few rows", "one class", "no features", "no target"],
)
def test_what_no_fit_could_survive_is_refused(judge, table, said):
    assert said in refusal(judge, table)


def test_more_folds_need_more_rows(judge):
    said = refusal(judge, rows(), spec=SPEC + "[split]\nfolds = 40\n")
    assert "need at least 100 rows for a test side and 40 folds, have 40" in said


def test_a_contract_without_features_is_refused(judge):
    contract = Contract(
        columns=columns(
            x=Column(role="ignored", kind="number"), c=Column(role="ignored", kind="text")
        )
    )
    assert "need at least one feature to learn from" in refusal(judge, rows(), contract)


def test_a_binary_task_with_three_classes_is_refused(judge):
    said = refusal(judge, rows(y={0: "maybe"}), spec='task = "binary"\n' + SPEC)
    assert 'task = "binary" needs two classes, found 3: no (26), yes (13), maybe (1)' in said


def test_a_constant_regression_target_is_refused(judge):
    contract = Contract(columns=columns(y=Column(role="target", kind="number")))
    said = refusal(judge, rows(y=dict.fromkeys(range(40), "2.5")), contract)
    assert "the target must vary, all 40 rows hold 2.5" in said


def test_a_class_of_the_contract_that_does_not_occur_is_warned_of(judge):
    contract = Contract(
        columns=columns(y=Column(role="target", kind="category", levels=("no", "yes", "maybe")))
    )
    (warning,) = judge(rows(), contract)["warnings"]
    assert (warning["rule"], "maybe does not" in warning["message"]) == ("y.absent", True)


def test_infinite_and_oversized_numbers_are_untypable(judge):
    contract = Contract(columns=columns(x=Column(kind="integer")))
    said = refusal(
        judge,
        rows(x={0: "inf", 1: "1e400", 2: "18446744073709551617", 3: "9007199254740993"}),
        contract,
    )
    assert "x.type, column x: 4 of 40" in said


def test_arguments_that_great_expectations_refuses_are_a_settings_error(judge):
    wrong = [{"type": "expect_column_mean_to_be_between", "kwargs": {"colum": "x"}}]
    contract = Contract.model_validate({"columns": columns(), "expectations": wrong})
    with pytest.raises(SettingsError, match=r"spec\.contract\.toml: expectations\[0\]"):
        judge(rows(), contract)


def test_a_refusal_is_bounded_whatever_the_table_holds(judge):
    names = {f"n{i}": Column(kind="number") for i in range(60)}
    table = [{**dict.fromkeys(names, "\x1b[2J" + "z" * 500), **row} for row in rows()]
    said = refusal(judge, table, Contract(columns=columns(**names)))
    assert len(said) < 8000
    assert "... and 50 more rules" in said
    assert all(c.isprintable() for c in said.replace("\n", ""))


def test_missing_columns_are_refused_before_typing():
    contract = Contract(columns=columns())
    assert refuse_columns(contract, ["y", "c", "x"]) == []
    with pytest.raises(DataRefused, match="did you mean X1"):
        refuse_columns(contract, ["y", "c", "X1"])
