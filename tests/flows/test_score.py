"""Batch scoring: every row gets a status, every mistake one message, the output appears whole."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest

from flows.errors import ArtifactRefused, DataRefused, PenstockError, SettingsError
from flows.score import score

MODEL = "작은 표@champion"
ROOT = Path(__file__).resolve().parents[2]
PEAK = """
import sys; from pathlib import Path; from flows.score import score
score(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


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


def test_lines_above_the_header_are_passed_over_as_the_settings_say(home, rows, tmp_path):
    first, plain = scored(rows, tmp_path)
    settings = home.folder / "titled.toml"
    text = (home.folder / "spec.toml").read_text("utf-8")
    settings.write_text(text.replace("[data]", "[data]\nskip_lines = 2"), encoding="utf-8")
    titled = tmp_path / "titled.csv"
    titled.write_text("To be scored\n\n" + (tmp_path / "in.csv").read_text("utf-8"), "utf-8")
    done = score(MODEL, titled, tmp_path / "titled.parquet", spec=settings)
    assert done["statuses"] == first["statuses"]
    assert pd.read_parquet(tmp_path / "titled.parquet").equals(plain)
    with pytest.raises(
        DataRefused, match=r"must be line 3 \(data.skip_lines = 2\), but it is line 1"
    ):
        score(MODEL, tmp_path / "in.csv", tmp_path / "no.parquet", spec=settings)
    settings.unlink()


def test_the_file_says_which_version_answered(home, rows, tmp_path):
    import pyarrow.parquet as pq

    rows.loc[[3, 5], "크기"] = "tall"
    done, _ = scored(rows, tmp_path)
    stored = pq.read_metadata(tmp_path / "out.parquet").metadata
    facts = {k.decode(): v.decode() for k, v in stored.items()}
    assert facts["penstock.model"] == "작은 표"
    assert int(facts["penstock.version"]) == home.aliases()["champion"]
    assert facts["penstock.digest"] == done["digest"]
    assert facts["penstock.run_id"] == done["run_id"]
    assert facts["penstock.scored_at"] == done["scored_at"]
    assert json.loads(facts["penstock.statuses"]) == {"ok": 38, "크기.type": 2}


def test_a_csv_has_the_same_beside_it_with_its_own_digest(home, rows, tmp_path):
    done, _ = scored(rows, tmp_path, out="out.csv")
    beside = json.loads((tmp_path / "out.csv.json").read_text("utf-8"))
    digest = hashlib.sha256((tmp_path / "out.csv").read_bytes()).hexdigest()
    assert beside["sha256"] == digest
    assert (beside["model"], beside["rows"]) == ("작은 표", 40)
    assert beside["digest"] == done["digest"]


def test_many_chunks_answer_as_one_and_in_order(home, rows, tmp_path, monkeypatch):
    many = pd.concat([rows] * 30, ignore_index=True).assign(number=range(1200))
    many.loc[[7, 1100], "크기"] = "tall"
    _, whole = scored(many, tmp_path)
    monkeypatch.setattr("flows.chunks.ROWS", 64)
    done, out = scored(many, tmp_path, out="cut.parquet")
    assert done["statuses"] == {"ok": 1198, "크기.type": 2}
    assert list(out["number"]) == [str(n) for n in range(1200)]
    assert list(out["status"]) == list(whole["status"])
    assert out["probability_yes"].sub(whole["probability_yes"]).abs().max() < 1e-6


def test_a_glob_a_folder_and_a_function_are_sources_too(home, rows, tmp_path):
    parts = tmp_path / "parts"
    parts.mkdir()
    rows.head(15).to_csv(parts / "1.csv", index=False)
    rows.tail(25)[["colour", "크기"]].to_csv(parts / "2.csv", index=False)
    (tmp_path / "mine.py").write_text(
        "import pandas as pd\ndef rows(): return pd.DataFrame({'크기': [50.5, 1], 'colour': ['red', None]})\n"
    )
    _, whole = scored(rows, tmp_path)
    for source in (f"{parts}/*.csv", parts):
        score(MODEL, source, tmp_path / "two.parquet")
        two = pd.read_parquet(tmp_path / "two.parquet")
        assert list(two["prediction"]) == list(whole["prediction"])
    assert score(MODEL, f"{tmp_path / 'mine.py'}:rows", tmp_path / "three.csv")["rows"] == 2


def test_parts_that_differ_are_refused_before_a_row_is_read(home, rows, tmp_path):
    rows.to_csv(tmp_path / "a.csv", index=False)
    rows.drop(columns="colour").to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataRefused, match=r"b\.csv.*lacks .*colour"):
        score(MODEL, f"{tmp_path}/*.csv", tmp_path / "out.csv")


def test_the_output_of_last_time_is_not_scored_again_by_a_pattern(home, rows, tmp_path):
    rows.to_csv(tmp_path / "a.csv", index=False)
    rows.to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(SettingsError, match=r"OUT must not be a file that is read, found .*b\.csv"):
        score(MODEL, f"{tmp_path}/*.csv", tmp_path / "b.csv")
    assert list(pd.read_csv(tmp_path / "b.csv")) == list(rows)


def test_parquet_keeps_its_types_beside_the_answers(home, rows, tmp_path):
    typed = rows.assign(
        크기=rows["크기"].astype(float), day=pd.Timestamp("2024-01-02"), n=range(40)
    )
    typed.to_parquet(tmp_path / "in.parquet", row_group_size=7)
    score(MODEL, tmp_path / "in.parquet", tmp_path / "out.parquet")
    out = pd.read_parquet(tmp_path / "out.parquet")
    assert out["n"].dtype == "int64"
    assert out["day"].dtype.kind == "M"
    assert out["크기"].dtype == "float64"


def test_what_is_wrong_at_the_end_leaves_the_old_output(home, rows, tmp_path):
    (tmp_path / "out.csv").write_text("old", encoding="utf-8")
    rows.to_csv(tmp_path / "in.csv", index=False)
    with (tmp_path / "in.csv").open("a", encoding="utf-8") as more:
        more.write("1,red,2\n")
    with pytest.raises(DataRefused, match="record 41"):
        score(MODEL, tmp_path / "in.csv", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text("utf-8") == "old"
    assert sorted(p.name for p in tmp_path.iterdir() if "part" in p.name) == []


def test_a_model_whose_file_was_changed_is_refused_by_name(home, rows, tmp_path):
    (version,) = [
        v for v in home.client.search_model_versions() if v.version == home.aliases()["champion"]
    ]
    place = home.client.get_model_version_download_uri(version.name, version.version)
    path = next(Path(unquote(place.removeprefix("file://"))).rglob("served.py"))
    before = path.read_bytes()
    try:
        path.write_bytes(before + b"\n")
        rows.to_csv(tmp_path / "in.csv", index=False)
        with pytest.raises(ArtifactRefused, match=r"served\.py has other content"):
            score(MODEL, tmp_path / "in.csv", tmp_path / "out.csv")
    finally:
        path.write_bytes(before)


def test_the_flow_is_seen_in_prefect_with_its_counts(home, rows, tmp_path, prefect_server, api):
    from flows.launch import launch_scoring

    rows.loc[3, "크기"] = "tall"
    rows.to_csv(tmp_path / "in.csv", index=False)
    done = launch_scoring(MODEL, str(tmp_path / "in.csv"), tmp_path / "out.csv", quiet=True)
    assert done["statuses"] == {"ok": 39, "크기.type": 1}
    newest = api.read_flow_runs(limit=1, sort="START_TIME_DESC")[0]
    assert (newest.name, newest.state.name) == (f"{MODEL} to out.csv", "Scored")
    assert "40 rows scored by 작은 표 version" in newest.state.message
    with pytest.raises(DataRefused, match=r"none\.csv"):
        launch_scoring(MODEL, str(tmp_path / "none.csv"), tmp_path / "out.csv", quiet=True)
    assert api.read_flow_runs(limit=1, sort="START_TIME_DESC")[0].state.name == "Refused"


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


@pytest.mark.long
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_four_times_the_rows_take_no_more_memory(home, table, tmp_path, ending):
    """What a table adds to the process is bounded by its chunks, not by its rows."""
    taken = []
    for rows in (250_000, 1_000_000):
        many = pd.concat([table()] * (rows // 240), ignore_index=True).assign(note="x" * 40)
        if ending == "csv":
            many.to_csv(tmp_path / "in.csv", index=False)
        else:
            many.to_parquet(tmp_path / "in.parquet", row_group_size=50_000)
        done = subprocess.run(
            [sys.executable, "-c", PEAK, MODEL, tmp_path / f"in.{ending}", tmp_path / "out.parquet"],
            cwd=home.folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        taken.append(int(done.stdout))
    assert taken[1] < taken[0] + 60_000  # kB; the rows alone are 75 MB more
