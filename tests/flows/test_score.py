"""Batch scoring: every row gets a status, every mistake one message, the output appears whole."""

import gzip

import pandas as pd
import pytest

from flows.errors import DataRefused, PenstockError, SettingsError
from flows.score import score

MODEL = "작은 표@champion"


@pytest.fixture
def home(first_run, monkeypatch):
    monkeypatch.chdir(first_run.folder)
    return first_run


@pytest.fixture
def rows(table):
    return table().drop(columns="grade").head(40).astype(object)


def scored(rows, tmp_path, name="in.csv", out="out.parquet", **options):
    rows.to_csv(tmp_path / name, index=False, **options)
    done = score(MODEL, tmp_path / name, tmp_path / out)
    read = pd.read_parquet if out.endswith("parquet") else pd.read_csv
    return done, read(tmp_path / out)


def test_every_row_gets_a_status_and_a_bad_one_no_prediction(home, rows, tmp_path):
    rows.loc[3, "크기"] = "tall"
    done, out = scored(rows, tmp_path)
    assert (done["rows"], done["bad_rows"]) == (40, 1)
    assert done["model"].startswith("작은 표 version ")
    assert list(out) == [
        "크기", "colour", "prediction", "probability_no", "probability_yes", "status"
    ]  # fmt: skip
    assert out.loc[3, "status"] == "크기.type"
    assert out.loc[3, ["prediction", "probability_no"]].isna().all()
    good = out.drop(index=3)
    assert (good["status"] == "ok").all()
    assert set(good["prediction"]) <= {"yes", "no"}
    assert ((good["probability_no"] + good["probability_yes"]).sub(1).abs() < 1e-5).all()


def test_text_and_parquet_in_text_and_parquet_out_answer_alike(home, rows, tmp_path):
    _, first = scored(rows, tmp_path)
    _, second = scored(rows, tmp_path, out="out.csv")
    rows.assign(크기=rows["크기"].astype(float)).to_parquet(tmp_path / "in.parquet")
    score(MODEL, tmp_path / "in.parquet", tmp_path / "three.parquet")
    third = pd.read_parquet(tmp_path / "three.parquet")
    (tmp_path / "in.csv.gz").write_bytes(gzip.compress((tmp_path / "in.csv").read_bytes()))
    score(MODEL, tmp_path / "in.csv.gz", tmp_path / "four.parquet")
    fourth = pd.read_parquet(tmp_path / "four.parquet")
    for other in (second, third, fourth):
        assert list(other["prediction"]) == list(first["prediction"])
        assert other["probability_yes"].sub(first["probability_yes"]).abs().max() < 1e-6


def test_the_file_says_which_version_answered(home, rows, tmp_path):
    import pyarrow.parquet as pq

    scored(rows, tmp_path)
    facts = pq.read_schema(tmp_path / "out.parquet").metadata
    assert facts[b"penstock.model"].decode() == "작은 표"
    assert int(facts[b"penstock.version"]) == home.aliases()["champion"]


def test_the_target_and_extra_columns_may_be_there_in_any_order(home, table, tmp_path):
    rows = table().head(20)[["grade", "colour", "크기"]].assign(extra=1)
    done, out = scored(rows, tmp_path)
    assert done["bad_rows"] == 0
    assert list(out)[:4] == ["grade", "colour", "크기", "extra"]


def test_a_missing_column_is_refused_by_name(home, rows, tmp_path):
    with pytest.raises(DataRefused, match="크기") as caught:
        scored(rows.drop(columns="크기"), tmp_path)
    assert caught.value.exit_code == 3
    assert not (tmp_path / "out.parquet").exists()


def test_columns_of_the_answer_s_names_are_replaced_and_said(home, rows, tmp_path):
    done, out = scored(rows.assign(prediction="mine", status="mine too"), tmp_path)
    assert done["replaced_columns"] == ["prediction", "status"]
    assert out.columns.is_unique
    assert set(out["status"]) == {"ok"}
    assert set(out["prediction"]) <= {"yes", "no"}


def test_another_ending_or_folder_is_refused_before_anything_is_read(home, tmp_path):
    with pytest.raises(
        SettingsError, match=r"OUT must end in \.parquet or \.csv, found 'out.xlsx'"
    ):
        score(MODEL, tmp_path / "no.csv", tmp_path / "out.xlsx")
    with pytest.raises(SettingsError, match="a folder that exists"):
        score(MODEL, tmp_path / "no.csv", tmp_path / "none" / "out.csv")


def test_a_source_that_is_not_there_is_refused_with_its_path(home, tmp_path):
    with pytest.raises(DataRefused, match=r"none\.csv"):
        score(MODEL, tmp_path / "none.csv", tmp_path / "out.csv")


@pytest.mark.parametrize(
    "model", ["작은 포@champion", "작은 포", "작은 표@nobody", "작은 표/99", "작은 표/x"]
)
def test_an_unknown_model_lists_the_known_ones(home, tmp_path, model):
    with pytest.raises(PenstockError, match="작은 표") as caught:
        score(model, tmp_path / "in.csv", tmp_path / "out.csv")
    assert f"{model!r} must be NAME, NAME@alias or NAME/version" in str(caught.value)
    assert "PENSTOCK_HOME names another home" in str(caught.value)


@pytest.mark.parametrize(
    "model", ["작은 표", "작은 표/1", "models:/작은 표@champion", "models:/작은 표/1"]
)
def test_a_model_has_several_names(home, rows, tmp_path, model):
    rows.to_csv(tmp_path / "in.csv", index=False)
    assert score(model, tmp_path / "in.csv", tmp_path / "out.csv")["rows"] == 40


def test_an_output_that_fails_leaves_the_old_one(home, rows, tmp_path, monkeypatch):
    (tmp_path / "out.csv").write_text("old", encoding="utf-8")

    def full(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full, raising=True)
    (tmp_path / "in.csv").write_text("크기,colour\n1,red\n", encoding="utf-8")
    with pytest.raises(PenstockError, match=r"out\.csv must be writable: .*No space left"):
        score(MODEL, tmp_path / "in.csv", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text("utf-8") == "old"
    assert sorted(p.name for p in tmp_path.iterdir() if "part" in p.name) == []


def test_settings_say_how_another_text_is_read(home, rows, tmp_path):
    rows.to_csv(tmp_path / "in.csv", index=False, sep=";", encoding="cp949")
    (home.folder / "other.toml").write_text(
        'name = "o"\n[data]\nsource = "x.csv"\ntarget = "grade"\nseparator = ";"\nencoding = "cp949"\n',
        encoding="utf-8",
    )
    spec = home.folder / "other.toml"
    done = score(MODEL, tmp_path / "in.csv", tmp_path / "out.csv", spec=spec)
    assert (done["rows"], done["bad_rows"]) == (40, 0)


@pytest.mark.parametrize("target", [True, False])
def test_a_headerless_file_may_lack_the_target(home, table, tmp_path, target):
    rows = table().head(30)
    rows = rows if target else rows.drop(columns="grade")
    rows.to_csv(tmp_path / "in.csv", index=False, header=False)
    (home.folder / "bare.toml").write_text(
        'name = "o"\n[data]\nsource = "x.csv"\ntarget = "grade"\nheader = false\n'
        'names = ["크기", "colour", "grade"]\n',
        encoding="utf-8",
    )
    spec = home.folder / "bare.toml"
    done = score(MODEL, tmp_path / "in.csv", tmp_path / "out.csv", spec=spec)
    assert (done["rows"], done["bad_rows"]) == (30, 0)
