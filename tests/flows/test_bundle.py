"""The bundle: whole or not at all, the same bytes again, and all that a verdict needs."""

import json

import numpy as np
import pandas as pd
import pytest
from duels import SETTINGS, Arena, empty_database, table

from flows.bundle import (
    columns_of,
    predictions_of,
    read_bundle,
    seal_bundle,
    verify_bundle,
    write_bundle,
)
from flows.errors import ArtifactRefused
from flows.stage import file_digest
from flows.verify import manifest_of
from models.examine import Examiner

EVIDENCE = {"task": "binary", "metrics": {"test": {"roc_auc": {"value": 0.8}}}, "ladder": []}
FACTS = {
    "status": "compared", "reason": "", "look": 2, "champion": {"version": 3}, "anchor": None,
    "task": "binary", "classes": ["no", "yes"], "costs": [[0, 1], [5, 0]], "counts": {"test": 6},
    "slices": [{"name": "x up to 0", "found": "automatic"}, {"name": "red", "found": "declared"}],
}  # fmt: skip


def lines(**more):
    """Six test rows, of which the last two are known to the champion."""
    p = np.linspace(0.1, 0.9, 6)
    both = np.column_stack([1 - p, p])
    return pd.DataFrame(
        {
            "row": [1, 3, 5, 7, 8, 9],
            "unit": list("aabbcd"),
            "weight": [1.0, 2, 1, 1, 1, 1],
            "target": [0, 0, 1, 1, 0, 1],
            "referee": [True, True, True, True, False, False],
            **columns_of("challenger", both, (p > 0.5).astype(np.int64)),
            **columns_of("champion", both[:, ::-1], (p < 0.5).astype(np.int64)),
            "slice.0": [True, False] * 3,
            "slice.1": [False] * 6,
            "level.색": ["red", "<b>", "red", "", "red", "red"],
            **more,
        }
    )


@pytest.fixture
def desk(tmp_path):
    """Write the stages' files, and bundles beside them."""
    (tmp_path / "evidence.json").write_text(json.dumps(EVIDENCE), encoding="utf-8")
    (tmp_path / "ledger.parquet").write_bytes(b"a ledger")
    (tmp_path / "split.json").write_text('{"scheme": {}}', encoding="utf-8")

    def written(name="gate", facts=FACTS, rows=None):
        write_bundle(
            tmp_path / name,
            evidence=tmp_path / "evidence.json",
            split=tmp_path,
            facts=facts,
            rows=lines() if rows is None else rows,
        )
        return tmp_path / name

    return written


def test_a_bundle_gives_back_the_rows_that_a_comparison_rests_on(desk):
    found = read_bundle(desk()).referee
    rows = found.rows
    assert (found.status, found.champion, found.anchor, found.look) == (
        "compared",
        "version 3",
        "",
        2,
    )
    assert (len(rows), rows.units) == (4, 2)
    assert rows.weight.tolist() == [1, 2, 1, 1]
    assert rows.challenger.target.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(rows.champion.p, rows.challenger.p[:, ::-1])
    assert rows.challenger.costs.tolist() == [[0, 1], [5, 0]]
    assert rows.slices["x up to 0"].tolist() == [True, False, True, False]
    assert rows.found == {"x up to 0": "automatic", "red": "declared"}
    assert rows.levels["색"].tolist() == ["red", "<b>", "red", ""]
    assert rows.anchor is None
    assert rows.block is None


def test_values_and_an_anchor_come_back_bit_by_bit(desk):
    value = np.random.default_rng(0).normal(size=6)
    rows = pd.DataFrame({"unit": list("abcdef"), "weight": 1.0, "target": value, "referee": True})
    for k, side in enumerate(("challenger", "champion", "anchor")):
        rows = rows.assign(**columns_of(side, value * 1.1**k, None))
    facts = {**FACTS, "task": "regression", "classes": [], "costs": None, "slices": []}
    found = read_bundle(desk(facts={**facts, "anchor": {"version": 1}}, rows=rows)).referee
    assert found.anchor == "version 1"
    assert (found.rows.anchor.value == value * 1.1**2).all()
    assert (found.rows.challenger.target == value).all()


def test_time_makes_blocks_of_neighbours(desk):
    rows = lines(time=np.array([30, 10, 20, 40, 1, 2], np.int64))
    block = read_bundle(desk(rows=rows)).referee.rows.block
    assert block.tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("status", ["none", "doubt", "off"])
def test_without_a_comparison_there_are_no_rows_and_the_reason_is_there(desk, status):
    facts = {**FACTS, "status": status, "reason": "왜"}
    rows = lines().drop(columns=[c for c in lines() if c.startswith("champion")])
    found = read_bundle(desk(facts=facts, rows=rows))
    assert (found.referee.status, found.referee.reason, found.referee.rows) == (status, "왜", None)
    assert found.metrics["roc_auc"]["value"] == 0.8
    assert predictions_of(rows, "champion", facts) is None


def test_the_same_bundle_is_the_same_bytes(desk):
    one, other = desk("one"), desk("other")
    assert {p.name: file_digest(p) for p in one.iterdir()} == {
        p.name: file_digest(p) for p in other.iterdir()
    }
    assert seal_bundle(one) == seal_bundle(other)


def test_a_bundle_is_replaced_whole_or_stays(desk, tmp_path):
    folder = desk()
    seal_bundle(folder)
    desk(facts={**FACTS, "look": 3})
    assert not (folder / "manifest.json").exists()
    (tmp_path / "split.json").unlink()
    with pytest.raises(FileNotFoundError):
        desk(facts={**FACTS, "look": 4})
    assert read_bundle(folder).referee.look == 3
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_sealed_bundle_has_the_digest_of_all_its_files(desk):
    folder = desk()
    (folder / "verdict.json").write_text("{}", encoding="utf-8")
    digest = seal_bundle(folder)
    from flows.stage import digest_of

    assert digest == digest_of(manifest_of(folder))
    verify_bundle(folder, digest)
    assert seal_bundle(folder) == digest


@pytest.mark.parametrize("name", ["referee.parquet", "ledger.parquet", "evidence.json"])
def test_a_changed_file_is_refused_by_name(desk, name):
    folder = desk()
    digest = seal_bundle(folder)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ArtifactRefused, match=rf"{name} of the bundle must be as it was sealed"):
        verify_bundle(folder, digest)
    verify_bundle(folder, digest, only=["split.json"])
    (folder / name).unlink()
    with pytest.raises(ArtifactRefused, match=rf"{name} of the bundle must be there"):
        verify_bundle(folder)


def test_another_manifest_is_refused(desk):
    folder = desk()
    digest = seal_bundle(folder)
    (folder / "referee.json").write_text("{}", encoding="utf-8")
    seal_bundle(folder)
    with pytest.raises(ArtifactRefused, match=f"must have the digest {digest}"):
        verify_bundle(folder, digest)
    (folder / "manifest.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ArtifactRefused, match="must have a readable manifest"):
        verify_bundle(folder)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "PENSTOCK_HOME"):
            patch.delenv(name, raising=False)
        return empty_database(tmp_path_factory.mktemp("empty"))


@pytest.mark.slow
def test_the_referee_s_bundle_has_slices_and_levels_and_is_judged_alike_again(
    tmp_path, database, own_environment
):
    from expectations.gate import Rules, judge
    from expectations.slices import named

    settings = SETTINGS.replace('id = "key"', 'id = "key"\ndrop = ["house"]')
    settings += 'find_slices = true\nfairness = ["house"]\n'
    frame = table(1500).assign(house=lambda t: np.where(t["noise"] > 0, "<b>위</b>", "아래"))
    with Examiner() as examiner:
        arena = Arena(tmp_path, examiner, settings, database)
        arena.register(arena.night(frame, slope=3.0))
        night = arena.night(frame, slope=0.1)
        low = named([{"column": "x", "low": None, "high": 0.0}], "automatic")
        night.evidence = {"slices": {"definitions": [low]}, "fairness": [{"column": "house"}]}
        facts, found = arena.meet(night)
    rows = read_bundle(night.place / "gate").referee.rows
    x = frame["x"].to_numpy()[found["row"]]
    assert facts["slices"] == [low]
    assert (rows.slices[low["name"]] == (x <= 0)).all()
    assert set(rows.levels["house"]) == {"<b>위</b>", "아래"}
    assert rows.units == len(rows) == facts["counts"]["units"]
    rules = Rules(metric="log_loss")
    verdicts = [judge(read_bundle(night.place / "gate"), rules) for _ in range(2)]
    assert verdicts[0] == verdicts[1]
    assert verdicts[0].outcome == "reject"
    assert verdicts[0].decided_by == "champion"
