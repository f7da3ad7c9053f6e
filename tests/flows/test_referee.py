"""The referee: a real registry, real ledgers, a fresh process; models of one known line."""

import numpy as np
import pandas as pd
import pytest
from duels import SETTINGS, Arena, empty_database, table

from flows.errors import PenstockError
from flows.json_files import read_json
from flows.looks import TAG
from models.examine import Examiner


@pytest.fixture(scope="module")
def examiner():
    with Examiner() as one:
        yield one


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "PENSTOCK_HOME"):
            patch.delenv(name, raising=False)
        return empty_database(tmp_path_factory.mktemp("empty"))


@pytest.fixture
def make(tmp_path, examiner, database, own_environment):
    def made(settings=SETTINGS):
        return Arena(tmp_path, examiner, settings, database)

    return made


@pytest.fixture
def arena(make):
    return make()


def served(folder, examiner, database, rows):
    """Return an arena with a champion of slope 3, made from that many rows, and its night."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "PENSTOCK_HOME"):
            patch.delenv(name, raising=False)
        arena = Arena(folder, examiner, SETTINGS, database)
        return arena, in_service(arena, table(rows), slope=3.0)


@pytest.fixture(scope="module")
def short(tmp_path_factory, examiner, database):
    return served(tmp_path_factory.mktemp("short"), examiner, database, 400)


@pytest.fixture(scope="module")
def long(tmp_path_factory, examiner, database):
    return served(tmp_path_factory.mktemp("long"), examiner, database, 1500)


def in_service(arena, frame, *overrides, **options):
    """Put the model of a night into service; return the night."""
    night = arena.night(frame, *overrides, **options)
    arena.register(night)
    night.remember()
    return night


def identities(night, *sides):
    book = night.ledger
    return set(book["identity"][book["side"].isin(sides)])


def compared(night, lines):
    """Identities of the lines that the comparison rests on."""
    book = night.ledger.set_index("row")["identity"]
    return set(book.loc[lines["row"][lines["referee"]]])


def test_without_a_champion_there_is_nothing_to_compare(arena):
    facts, lines = arena.meet(arena.night(table()))
    assert (facts["status"], facts["champion"]) == ("none", None)
    assert facts["counts"] == {"test": len(lines)}
    assert "champion.p0" not in lines


def test_the_champion_answers_the_same_rows_from_their_raw_cells(short):
    arena, first = short
    facts, lines = arena.meet(arena.night(table(), slope=1.0))
    assert facts["status"] == "compared"
    assert (facts["champion"]["version"], facts["anchor"]) == (1, None)
    assert (facts["matched"], facts["changes"]) == (1.0, [])
    assert compared(first, lines) == identities(first, "test")
    x = table()["x"].to_numpy()[lines["row"]]
    np.testing.assert_allclose(lines["champion.p1"], 1 / (1 + np.exp(-3 * x)), atol=1e-6)
    np.testing.assert_allclose(lines["challenger.p1"], 1 / (1 + np.exp(-x)), atol=1e-6)
    assert (lines["champion.label"] == (x > 0)).all()
    assert (lines["target"] == (table()["grade"] == "yes").to_numpy()[lines["row"]]).all()
    assert 0.5 < facts["margin_base"] < 1


def test_data_that_grows_keeps_the_rows_that_neither_has_seen(short):
    arena, first = short
    both = pd.concat([table(), table(200, seed=1, first=400)])
    night = arena.night(both)
    facts, lines = arena.meet(night)
    assert facts["matched"] == 1.0
    assert facts["counts"]["champion_trained"] == 0
    assert compared(night, lines) == identities(night, "test") > identities(first, "test")


def test_a_champion_whose_training_rows_are_the_test_rows_is_never_compared_on_them(long):
    arena, first = long
    night = arena.night(table(1500), "split.seed=1")
    facts, lines = arena.meet(night)
    counts, rests = facts["counts"], compared(night, lines)
    assert facts["status"] == "compared"
    assert rests
    assert not rests & identities(first, "train", "validation")
    assert rests == identities(night, "test") & identities(first, "test")
    assert counts["champion_trained"] > 3 * len(rests) / 2
    assert counts["champion_trained"] + counts["champion_validated"] + len(rests) == counts["test"]
    assert lines["champion.p1"][~lines["referee"]].isna().all()  # it was not even asked
    assert "split.seed was 0 and is 1" in facts["changes"]


def test_too_few_rows_that_neither_has_seen_are_a_doubt_that_says_why(short):
    arena, _ = short
    facts, lines = arena.meet(arena.night(table(), "split.seed=1", "gate.min_referee=50"))
    assert facts["status"] == "doubt"
    assert f"too few referee rows: {facts['counts']['units']} units of" in facts["reason"]
    assert "at least 50 are needed (gate.min_referee)" in facts["reason"]
    assert "the champion trained on" in facts["reason"]
    assert "split.seed was 0 and is 1" in facts["reason"]
    assert "champion.p0" not in lines


def test_rows_that_are_not_found_again_are_a_doubt_and_not_a_fresh_start(short):
    arena, _ = short
    other = table(seed=1, first=10_000)
    facts, _ = arena.meet(arena.night(other))
    assert facts["status"] == "doubt"
    assert facts["reason"].startswith("identity changed: of the 400 rows behind the champion")
    assert "0.0% are found again, at least 95% must be (gate.min_match)" in facts["reason"]
    facts, lines = arena.meet(arena.night(other, "gate.min_match=0"))
    assert (facts["status"], facts["matched"]) == ("compared", 0.0)
    assert lines["referee"].all()


def test_another_id_is_said_and_rows_are_matched_as_the_champion_knew_them(long):
    arena, first = long
    night = arena.night(table(1500), "data.id=[]", 'data.drop=["key"]')
    facts, lines = arena.meet(night)
    assert (facts["status"], facts["matched"]) == ("compared", 1.0)
    assert "data.id was key and is none" in facts["changes"]
    rows = first.ledger.set_index("row")["side"]
    assert (rows.loc[lines["row"][lines["referee"]]] == "test").all()
    assert (rows.loc[lines["row"][~lines["referee"]]] != "test").all()


def test_an_id_that_is_gone_is_a_doubt_that_names_it(short):
    arena, _ = short
    facts, _ = arena.meet(arena.night(table().drop(columns="key"), "data.id=[]"))
    assert facts["status"] == "doubt"
    assert "its rows are known by key, which the table no longer has" in facts["reason"]


WITHOUT_ID = SETTINGS.replace('id = "key"', 'drop = ["key"]\nmissing = ["", "?"]')


@pytest.mark.slow
def test_without_an_id_rows_are_known_by_cells_however_they_are_read_today(make):
    frame = table(1500).astype(object)
    frame.loc[::7, "noise"] = "?"
    arena = make(WITHOUT_ID)
    first = in_service(arena, frame)
    scheme = read_json(first.made["split"] / "split.json")["scheme"]
    assert set(scheme["columns"]) >= {"x", "noise", "day"}
    today = ("split.seed=1", 'data.columns.house.kind="text"', 'data.missing=["", "?", "h3"]')
    facts, lines = arena.meet(arena.night(frame, *today))
    assert (facts["status"], facts["matched"]) == ("compared", 1.0)  # rows of h3 too
    trained = set(first.ledger["row"][first.ledger["side"] != "test"])
    assert not trained & set(lines["row"][lines["referee"]])


GROUPED = SETTINGS.replace('id = "key"', 'id = "key"\ngroup = "house"')


@pytest.mark.slow
def test_a_group_that_the_champion_trained_on_is_known_as_a_whole(make):
    arena = make(GROUPED)
    first = in_service(arena, table(2000))
    new = table(500, seed=1, first=2000).assign(house=[f"h{i}" for i in range(500)])
    night = arena.night(pd.concat([table(2000), new]), "split.seed=1")
    facts, lines = arena.meet(night)
    assert (facts["status"], facts["matched"]) == ("compared", 1.0)
    trained = first.ledger["group"][first.ledger["side"] != "test"]
    assert not set(trained) & set(lines["unit"][lines["referee"]])
    fresh = lines[lines["row"] >= 2000]
    assert not fresh["referee"].all()  # new rows of old houses are known too
    assert fresh["referee"].any()
    assert facts["counts"]["units"] < facts["counts"]["referee"]


@pytest.mark.slow
def test_a_group_declared_today_is_known_by_any_of_its_rows(make):
    arena = make()
    first = in_service(arena, table(2000))
    night = arena.night(table(2000), 'data.group="house"', "gate.min_referee=2")
    facts, lines = arena.meet(night)
    assert "data.group was none and is house" in facts["changes"]
    trained = first.ledger["row"][first.ledger["side"] != "test"] // 4
    assert not set(trained) & set(lines["row"][lines["referee"]] // 4)
    assert facts["status"] in ("compared", "doubt")


TIMED = SETTINGS.replace('id = "key"', 'time = "day"\nid = "key"').replace(
    "folds = 0", 'folds = 0\nby = "time"'
)


@pytest.mark.slow
def test_a_window_that_moves_on_is_asked_for_the_rows_of_its_span_alone(make):
    arena = make(TIMED)
    in_service(arena, table(800))
    later = pd.concat([table(800).iloc[500:], table(500, seed=1, first=800)])
    night = arena.night(later)
    facts, lines = arena.meet(night)
    assert (facts["status"], facts["matched"], facts["expected"]) == ("compared", 1.0, 300)
    assert lines["referee"].all()
    assert lines["time"].is_monotonic_increasing
    assert (
        lines["time"].iloc[0] == pd.Timestamp(later["day"].iloc[lines["row"].iloc[0]]).value // 1000
    )


@pytest.mark.slow
def test_the_same_customer_later_is_another_row_where_the_split_is_by_time(make):
    arena = make(TIMED)
    frame = table(1200).assign(key=[f"k{i % 40}" for i in range(1200)])
    in_service(arena, frame.iloc[:1000])
    facts, lines = arena.meet(arena.night(frame, "split.test=0.4"))
    champions = 1000 - int(0.2 * 1000)  # its test rows begin here
    rests = set(lines["row"][lines["referee"]])
    assert facts["status"] == "compared"
    assert rests == {row for row in lines["row"] if row >= champions}
    assert facts["counts"]["champion_validated"] == champions - lines["row"].min()
    assert "split.test was 0.2 and is 0.4" in facts["changes"]


def test_the_anchor_is_asked_too_and_its_rows_are_left_out(arena):
    first = in_service(arena, table(1500), slope=4.0)
    second = arena.night(table(1500), "split.seed=1")
    arena.register(second, "c" * 64, rule="no_worse")
    night = arena.night(table(1500), "split.seed=2", "gate.min_referee=5")
    facts, lines = arena.meet(night)
    assert (facts["champion"]["version"], facts["anchor"]["version"]) == (2, 1)
    rests = compared(night, lines)
    assert rests == identities(night, "test") & identities(first, "test") & identities(
        second, "test"
    )
    assert facts["counts"]["anchor_trained"] > 0
    x = table(1500)["x"].to_numpy()[lines["row"][lines["referee"]]]
    said = lines["anchor.p1"][lines["referee"]]
    np.testing.assert_allclose(said, 1 / (1 + np.exp(-4 * x)), atol=1e-6)


def test_better_asks_no_anchor(arena):
    in_service(arena, table())
    arena.register(arena.night(table(), slope=1.0), "c" * 64, rule="no_worse")
    better = 'gate.against_champion="better"'
    facts, lines = arena.meet(arena.night(table(), better, slope=0.5))
    assert (facts["champion"]["version"], facts["anchor"]) == (2, None)
    assert "anchor.p0" not in lines


def test_the_model_in_service_is_not_compared_with_itself(short):
    arena, night = short
    facts, _ = arena.meet(night, key="a" * 64)
    assert (facts["status"], facts["champion"]["version"]) == ("none", 1)
    assert facts["reason"] == "version 1, in service, is this very model"


@pytest.mark.parametrize("rule", ['gate.against_champion="off"', 'gate.mode="disabled"'])
def test_settings_that_ask_for_no_comparison_get_none(short, rule):
    arena, _ = short
    run = arena.run()
    facts, lines = arena.meet(arena.night(table(), rule), run_id=run)
    assert facts["status"] == "off"
    assert "champion.p0" not in lines
    assert TAG not in arena.client.get_run(run).data.tags


def test_every_comparison_is_a_look_and_the_same_one_again_is_not(arena):
    in_service(arena, table())
    night = arena.night(table(), "gate.mode='dry_run'", slope=1.0)
    found = [arena.meet(night, key=key * 64)[0] for key in "bcb"]
    assert [facts["look"] for facts in found] == [1, 2, 1]
    assert [facts["again"] for facts in found] == [False, False, True]
    assert found[1]["looks"] == ["run-bbbb"] or len(found[1]["looks"]) == 1


def test_a_run_that_ends_before_it_shows_its_comparison_has_looked(arena):
    in_service(arena, table())
    night = arena.night(table(), slope=1.0)
    night.assess()
    night.place = night.place / "nowhere"  # where no bundle can be written
    run = arena.run()
    with pytest.raises(OSError, match="nowhere"):
        arena.meet(night, run_id=run)
    assert TAG in arena.client.get_run(run).data.tags
    facts, _ = arena.meet(arena.night(table(), slope=1.0), key="c" * 64)
    assert facts["look"] == 2


def test_a_doubt_is_no_look(short):
    arena, _ = short
    run = arena.run()
    facts, _ = arena.meet(arena.night(table(seed=1, first=900)), run_id=run)
    assert facts["status"] == "doubt"
    assert TAG not in arena.client.get_run(run).data.tags


def test_an_old_champion_is_an_alarm_and_nothing_else(short):
    arena, _ = short
    facts, _ = arena.meet(arena.night(table(), 'gate.max_age="0.1s"', slope=1.0))
    assert facts["status"] == "compared", facts["reason"]
    assert 'more than gate.max_age = "0.1s"' in facts["alarms"][0]
    assert arena.meet(arena.night(table(), 'gate.max_age="1d"', slope=1.0))[0]["alarms"] == []


def test_the_order_of_the_champion_s_classes_does_not_matter(arena):
    in_service(arena, table(), slope=3.0, labels=("yes", "no"))
    facts, lines = arena.meet(arena.night(table(), slope=3.0))
    assert facts["status"] == "compared"
    np.testing.assert_allclose(lines["champion.p1"], lines["challenger.p1"], atol=1e-6)
    assert (lines["champion.label"] == lines["challenger.label"]).all()


@pytest.mark.slow
def test_an_optional_column_that_is_gone_is_said(make):
    arena = make(SETTINGS + 'against_champion = "better"\n')
    first = arena.night(table(), slope=3.0)
    columns = [
        {**entry, "required": entry["name"] != "noise"} for entry in first.serving["columns"]
    ]
    arena.register(arena.night(table(), slope=3.0, schema={"columns": columns}))
    facts, _ = arena.meet(arena.night(table().drop(columns="noise")))
    assert facts["status"] == "compared"
    assert "the champion, version 1, answers without noise, which is gone" in facts["changes"]


@pytest.mark.slow
def test_a_regression_is_compared_by_its_values(make):
    frame = table()
    frame["grade"] = 2 * frame["x"] + frame["noise"]
    arena = make()
    in_service(arena, frame, slope=2.0)
    facts, lines = arena.meet(arena.night(frame, slope=1.5))
    assert (facts["status"], facts["classes"]) == ("compared", [])
    x = frame["x"].to_numpy()[lines["row"]]
    np.testing.assert_allclose(lines["champion.value"], 2 * x)
    assert facts["margin_base"] == pytest.approx(1.0, abs=0.2)


def test_a_registry_that_is_away_is_no_doubt_but_an_error(arena):
    from dataclasses import replace

    in_service(arena, table())
    night = arena.night(table(), slope=1.0)
    (arena.folder / "none.db").write_bytes(b"this is no database" * 100)
    arena.home = replace(arena.home, tracking_uri=f"sqlite:///{arena.folder / 'none.db'}")
    with pytest.raises(PenstockError, match=r"MLflow at .* must"):
        arena.meet(night, run_id="none")
