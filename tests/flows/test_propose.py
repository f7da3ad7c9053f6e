from __future__ import annotations

import os
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.errors import DataRefused, SettingsError
from flows.propose import propose, stem_of
from flows.propose_source import Asked
from flows.settings import load_spec
from flows.settings_text import key_text, value_text

RNG = np.random.default_rng(0)
LABELS = np.array(["no", "yes"])


def table(n=200):
    return pd.DataFrame(
        {
            "age": RNG.integers(18, 90, n),
            "pay": RNG.normal(100, 20, n).round(2),
            "city": np.array(["Seoul", "Busan", "Jeju"])[RNG.integers(0, 3, n)],
            "bought": LABELS[RNG.integers(0, 2, n)],
        }
    )


def written(folder, frame, name="shop.csv", **options):
    frame.to_csv(folder / name, index=False, **options)
    return name


def proposed(folder, source, target="bought", **options):
    """Return the proposal and its settings, read back the way a run reads them."""
    proposal = propose(source, target, folder=folder, **options)
    file = folder / f"{proposal.stem}.toml"
    file.write_text(proposal.settings_text, encoding="utf-8")
    return proposal, load_spec(file)


def test_a_plain_table_needs_three_lines(tmp_path):
    proposal, _ = proposed(tmp_path, written(tmp_path, table()))
    values = tomllib.loads(proposal.settings_text)
    assert values == {
        "name": "shop",
        "task": "binary",
        "data": {"source": "shop.csv", "target": "bought"},
        "sweep": {"trials": 32, "budget": "10m"},
    }
    assert any(said.startswith("task: binary") for said in proposal.decisions)
    assert any("no column identifies a row" in said for said in proposal.warnings)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_the_separator_is_found(tmp_path, separator):
    proposal, spec = proposed(tmp_path, written(tmp_path, table(), sep=separator))
    assert spec.data.separator == separator
    assert any(said.startswith("separator: ") for said in proposal.decisions)


@pytest.mark.parametrize("encoding", ["cp949", "utf-16"])
def test_the_encoding_is_found_and_said(tmp_path, encoding):
    frame = table().rename(columns={"city": "도시"}).replace({"Seoul": "서울", "Busan": "부산"})
    proposal, spec = proposed(tmp_path, written(tmp_path, frame, encoding=encoding))
    assert spec.data.encoding == encoding
    assert any(said.startswith("encoding: ") for said in proposal.decisions)


def test_a_file_without_header_gets_names_and_a_target_by_position(tmp_path):
    source = written(tmp_path, table(), header=False)
    proposal, spec = proposed(tmp_path, source, "4")
    assert spec.data.names == ("column_1", "column_2", "column_3", "column_4")
    assert spec.data.target == "column_4"
    assert "is data: column 1 of it is the number" in " ".join(proposal.decisions)
    _, spec = proposed(tmp_path, source, "bought", names=["age", "pay", "city", "bought"])
    assert spec.data.target == "bought"


def test_names_must_fit_the_columns(tmp_path):
    with pytest.raises(SettingsError, match="--names must give 4 names, one per column, found 2"):
        propose(written(tmp_path, table(), header=False), "a", names=["a", "b"], folder=tmp_path)


def test_a_target_that_is_no_column_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(SettingsError, match="did you mean bought"):
        propose(written(tmp_path, table()), "bougth", folder=tmp_path)
    source = written(tmp_path, table(), header=False)
    with pytest.raises(SettingsError, match=r"no header.*position from 1 to 4"):
        propose(source, "bought", folder=tmp_path)


def test_an_id_is_proposed_by_name_or_place_only_where_it_tells_rows_apart(tmp_path):
    frame = table().assign(customer_id=[f"c{i:04}" for i in range(200)])
    _, spec = proposed(tmp_path, written(tmp_path, frame))
    assert spec.data.id == ("customer_id",)
    frame["customer_id"] = "c0001"
    _, spec = proposed(tmp_path, written(tmp_path, frame))
    assert spec.data.id == ()


def test_a_row_number_is_an_id_in_first_place_and_dropped_elsewhere(tmp_path):
    frame = table()
    frame.insert(0, "n", range(1, 201))
    _, spec = proposed(tmp_path, written(tmp_path, frame))
    assert spec.data.id == ("n",)
    frame = table().assign(counter=range(1, 201))[["age", "counter", "pay", "city", "bought"]]
    proposal, spec = proposed(tmp_path, written(tmp_path, frame))
    assert spec.data.drop == ("counter",)
    assert "drop: counter: it numbers the rows" in proposal.decisions


def test_a_copy_of_the_target_is_dropped_and_said(tmp_path):
    frame = table()
    frame["decision"] = frame["bought"].map({"yes": "Y", "no": "N"})
    proposal, spec = proposed(tmp_path, written(tmp_path, frame))
    assert spec.data.drop == ("decision",)
    assert any("copy of the target" in said for said in proposal.decisions)


def test_a_target_that_is_a_sum_of_columns_is_pointed_out(tmp_path):
    frame = table().assign(a=RNG.integers(0, 50, 200), b=RNG.integers(0, 90, 200))
    frame["total"] = frame["a"] + frame["b"]
    proposal, spec = proposed(tmp_path, written(tmp_path, frame.drop(columns="bought")), "total")
    assert spec.data.drop == ("a", "b")
    assert any(said.startswith("drop: a, b: ") for said in proposal.decisions)


def test_tokens_for_missing_are_found(tmp_path):
    frame = table().astype(object)
    frame.loc[:9, "age"] = "?"
    proposal, spec = proposed(tmp_path, written(tmp_path, frame))
    assert spec.data.missing == ("", "?")
    assert "missing: ? in age (10 cells)" in proposal.decisions


def test_decimal_commas_are_declared(tmp_path):
    _, spec = proposed(tmp_path, written(tmp_path, table(), sep=";", decimal=","))
    assert spec.data.decimal == ","


def test_an_ambiguous_date_is_left_out_with_the_choice_beside_it(tmp_path):
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(RNG.integers(0, 12, 200), "D")
    frame = table().assign(seen=days.strftime("%d/%m/%Y"))
    proposal, spec = proposed(tmp_path, written(tmp_path, frame))
    assert spec.data.columns["seen"].kind == "ignored"
    choices = '#   format = "%d/%m/%Y"\n#   format = "%m/%d/%Y"\nkind = "ignored"\n'
    assert choices in proposal.settings_text


def test_a_test_file_is_used_and_its_labels_are_made_alike(tmp_path):
    source = written(tmp_path, table())
    other = table(60)
    other["bought"] += "."
    proposal, spec = proposed(tmp_path, source, test=written(tmp_path, other, "test.csv"))
    assert spec.split.by == "given"
    assert spec.split.test_source == "test.csv"
    assert spec.task == "binary"
    assert spec.data.columns["bought"].replace == {"no.": "no", "yes.": "yes"}
    assert any(said.startswith("labels: ") for said in proposal.decisions)


def test_a_test_file_without_the_target_is_for_scoring(tmp_path):
    source = written(tmp_path, table())
    test = written(tmp_path, table(60).drop(columns="bought"), "test.csv")
    proposal, spec = proposed(tmp_path, source, test=test)
    assert spec.split.by == "row"
    assert "penstock score" in proposal.warnings[0]


def test_a_rare_class_is_kept_for_training_and_said(tmp_path):
    frame = table().astype(object)
    frame.loc[:2, "bought"] = "maybe"
    proposal, spec = proposed(tmp_path, written(tmp_path, frame))
    assert spec.split.rare == "train_only"
    assert any(said.startswith("rare: ") for said in proposal.decisions)


def test_rows_without_a_target_are_allowed_for_and_counted(tmp_path):
    frame = table().astype(object)
    frame.loc[:7, "bought"] = None
    proposal, spec = proposed(tmp_path, written(tmp_path, frame))
    assert spec.data.max_fraction == pytest.approx(0.05)
    assert "8 of 200 rows" in proposal.settings_text


def test_hostile_names_and_cells_cannot_break_the_file(tmp_path):
    frame = table().rename(columns={"bought": 'a"]\\#= 나이', "city": "x.y"})
    frame.insert(0, "id'", [f'"{i}"\\' for i in range(200)])
    _, spec = proposed(tmp_path, written(tmp_path, frame), 'a"]\\#= 나이')
    assert spec.data.target == 'a"]\\#= 나이'


def test_sources_outside_the_folder_are_written_absolute(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    written(tmp_path, table())
    _, spec = proposed(home, "../shop.csv")
    assert spec.data.source == str(tmp_path / "shop.csv")


def test_data_of_scikit_learn_is_proposed_too(tmp_path):
    proposal, spec = proposed(tmp_path, "sklearn:breast_cancer", "target")
    assert (proposal.stem, spec.task) == ("breast_cancer", "binary")


def test_what_is_no_table_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("just\nwords\n")
    with pytest.raises(DataRefused, match="no separator"):
        propose("a.csv", "words", folder=tmp_path)


@pytest.mark.parametrize(
    ("source", "stem"),
    [
        ("data/credit-*.csv", "credit"),
        ("a.csv.gz", "a"),
        ("mine.py:table", "mine"),
        ("sklearn:wine", "wine"),
        ("data/days", "days"),
    ],
)
def test_the_settings_are_named_after_the_source(source, stem):
    assert stem_of(source) == stem


@pytest.mark.parametrize(
    "value", ["나이", 'a"b\\c', "tab\tnew\nline\x7f", "", ["a", "b" * 90], {"k": "v"}]
)
def test_every_value_survives_its_text(value):
    assert tomllib.loads(f"{key_text('odd key')} = {value_text(value)}") == {"odd key": value}


REAL = [
    ("adult/adult-train.csv", "15", "adult/adult-test.csv", "binary"),
    ("titanic/train.csv", "Survived", "titanic/test.csv", "binary"),
    ("german_credit/german.csv", "21", None, "binary"),
    ("german_credit/GermanCredit_labelled.csv", "credit_risk", None, "binary"),
    ("california_housing/housing.csv", "median_house_value", None, "regression"),
    ("penguins/penguins.csv", "species", None, "multiclass"),
    ("wine_quality/*.csv", "12", None, "multiclass"),
    ("boston_housing/housing.data", "14", None, "regression"),
    ("bike_sharing/hour.csv", "cnt", None, "regression"),
    ("chicago_taxi/data.csv", "tips", None, "regression"),
]


@pytest.mark.data
@pytest.mark.parametrize(("source", "target", "test", "task"), REAL)
def test_real_tables_are_proposed_as_a_stranger_would_try(tmp_path, source, target, test, task):
    if not os.environ.get("PENSTOCK_DATA"):
        pytest.skip("PENSTOCK_DATA names no folder of real tables")
    data = Path(os.environ["PENSTOCK_DATA"]).resolve()
    given = str(data / test) if test else None
    proposal, spec = proposed(tmp_path, str(data / source), target, test=given)
    assert spec.task == task
    assert proposal.decisions


def test_classes_too_few_to_be_told_apart_are_refused_before_a_run(tmp_path):
    frame = table().astype(object)
    frame["bought"] = "no"
    frame.loc[:2, "bought"] = "maybe"
    with pytest.raises(DataRefused, match="found no 197, maybe 3") as refused:
        propose(written(tmp_path, frame), "bought", folder=tmp_path)
    assert refused.value.failures[0].column == "bought"
    frame["bought"] = [f"label {k}" for k in range(len(frame))]
    with pytest.raises(DataRefused, match="and 195 more"):
        propose(written(tmp_path, frame), "bought", folder=tmp_path)


def test_one_column_of_a_kind_is_said_in_the_singular(tmp_path):
    proposal, _ = proposed(tmp_path, written(tmp_path, table()))
    assert any("1 integer: age; 1 number: pay; 1 category: city" in s for s in proposal.decisions)


def test_free_text_is_no_mixed_column(tmp_path):
    frame = table().assign(ticket=[f"A/{k}" if k % 3 else str(k * 7) for k in range(200)])
    proposal, _ = proposed(tmp_path, written(tmp_path, frame))
    assert not any("mixes" in said for said in proposal.warnings)


def test_numbers_whose_mark_is_ambiguous_are_said_and_can_be_declared(tmp_path):
    amounts = [f"{k:,}" for k in RNG.integers(1_000, 900_000, 200)]
    source = written(tmp_path, table().drop(columns="pay").assign(amount=amounts))
    proposal, _ = proposed(tmp_path, source)
    warned = [said for said in proposal.warnings if '"amount" holds cells such as' in said]
    assert len(warned) == 1
    assert "declare decimal or thousands of the column" in warned[0]


@pytest.mark.parametrize("sign", ["{}%", "{} kg", "$ {}", "{}₩", "€{}"])
def test_numbers_with_a_sign_in_some_cells_are_said_to_stay_text(tmp_path, sign):
    shares = [sign.format(k) for k in RNG.normal(50, 20, 200).round(1)]
    shares[:5] = [1, 2, 3, 4, 5]
    proposal, _ = proposed(tmp_path, written(tmp_path, table().assign(share=shares)))
    assert any("holds numbers with a sign beside them" in said for said in proposal.warnings)


def test_codes_are_no_numbers_with_a_sign(tmp_path):
    codes = np.array(["C85", "A34", "B7"])[RNG.integers(0, 3, 200)]
    proposal, _ = proposed(tmp_path, written(tmp_path, table().assign(code=codes)))
    assert not any("holds numbers with a sign" in said for said in proposal.warnings)


def test_a_title_above_rows_without_a_header_is_left_to_the_person(tmp_path):
    text = "Sales of March\nmade on 1 April\n\n" + table().to_csv(index=False, header=False)
    (tmp_path / "shop.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataRefused, match="remove what stands above the header") as refused:
        propose("shop.csv", "bought", folder=tmp_path)
    assert "the first 2 (Sales of March; made on 1 April) have fewer" in str(refused.value)
    _, spec = proposed(tmp_path, "shop.csv", "4", asked=Asked(skip_lines=3))
    assert (spec.data.skip_lines, spec.data.header) == (3, False)


def test_a_header_that_lacks_a_name_is_told_from_a_title(tmp_path):
    lines = table().to_csv(index=False).replace("age,pay,", "age,", 1)
    (tmp_path / "shop.csv").write_text(lines, encoding="utf-8")
    with pytest.raises(DataRefused, match="or add the name that it lacks"):
        propose("shop.csv", "bought", folder=tmp_path)


def test_a_header_with_a_name_twice_is_a_header(tmp_path):
    source = written(tmp_path, table().rename(columns={"pay": "age"}))
    with pytest.raises(DataRefused, match="age stands twice in the header"):
        propose(source, "bought", folder=tmp_path)


def test_row_names_of_pandas_are_the_id(tmp_path):
    table().to_csv(tmp_path / "shop.csv")
    proposal, spec = proposed(tmp_path, "shop.csv")
    assert spec.data.id == ("column_1",)
    assert any("it counts rows" in said for said in proposal.decisions)


def test_a_target_in_other_case_is_hinted_at(tmp_path):
    with pytest.raises(SettingsError, match="found BOUGHT; did you mean bought"):
        propose(written(tmp_path, table()), "BOUGHT", folder=tmp_path)


def test_a_file_without_header_says_why_it_is_taken_for_one(tmp_path):
    source = written(tmp_path, table(), header=False)
    with pytest.raises(SettingsError, match=r"no header, as the first record .* is data: column 1"):
        propose(source, "bought", folder=tmp_path)


@pytest.mark.parametrize("name", ["Rechnungs-Nr.", "invoice number", "bill no.", "Belegnummer"])
def test_a_column_that_is_called_a_number_is_an_id(tmp_path, name):
    frame = table()
    frame.insert(2, name, [f"R-{k * 7 + 100_000}" for k in range(200)])
    assert proposed(tmp_path, written(tmp_path, frame))[1].data.id == (name,)


DAYS = pd.Timestamp("2024-01-05") + pd.to_timedelta(np.arange(200) // 3, "D")


@pytest.mark.parametrize(
    "times",
    [DAYS.strftime("%Y-%m-%d"), DAYS.strftime("%d.%m.%Y")[::-1], DAYS.as_unit("s").astype("int64"),
     DAYS.as_unit("ms").astype("int64")],
    ids=["dates", "newest first", "seconds", "milliseconds"],
)  # fmt: skip
def test_rows_in_the_order_of_time_are_said(tmp_path, times):
    proposal, _ = proposed(tmp_path, written(tmp_path, table().assign(seen=list(times))))
    said = [line for line in proposal.warnings if "in the order of seen" in line]
    assert len(said) == 1
    assert "2024-01-05 to 2024-03-11" in said[0]
    assert 'set time = "seen" in [data] and by = "time" in [split]' in said[0]


def test_rows_in_no_order_of_time_are_not_said_to_be(tmp_path):
    frame = table().assign(seen=RNG.permutation(DAYS.strftime("%Y-%m-%d")), rank=np.arange(200) * 7)
    proposal, _ = proposed(tmp_path, written(tmp_path, frame))
    assert not any("in the order of" in line for line in proposal.warnings)
