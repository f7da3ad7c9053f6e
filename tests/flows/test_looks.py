"""Looks at the same rows, kept by real MLflow runs."""

import numpy as np
import pytest

from flows.home import open_home, prepare_tracking
from flows.identity import mix
from flows.looks import TAG, Look, count, leave, looks_of
from flows.registry import client
from flows.sketch import Sketch


def units(first, last):
    return mix(np.arange(first, last, dtype=np.uint64))


class Book:
    """The runs of one experiment, each of which may have looked."""

    def __init__(self, folder):
        self.home = open_home(folder)
        prepare_tracking(self.home)
        self.client = client(self.home)
        self.clock = 0
        self.begin()

    def begin(self):
        self.experiment = self.client.create_experiment(f"e{self.clock}")

    def run(self):
        self.clock += 1
        tags = {"penstock.run": f"run-{self.clock}"}
        return self.client.create_run(self.experiment, start_time=self.clock, tags=tags).info.run_id

    def look(self, key, champion="1", at=(0, 1000), scheme="s", run=None):
        """Count this look as a run does, then leave it."""
        about = {"key": key, "champion": champion, "scheme": scheme}
        found = count(self.looks(), **about, units=units(*at))
        sketch = Sketch.of(units(*at))
        name = f"run-{self.clock + 1}"
        leave(
            self.home,
            run or self.run(),
            Look(run=name, number=found.number, sketch=sketch, **about),
        )
        return found

    def looks(self):
        return looks_of(self.home, self.experiment)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "PENSTOCK_HOME"):
            patch.delenv(name, raising=False)
        return Book(tmp_path_factory.mktemp("looks"))


@pytest.fixture
def book(one):
    one.clock += 1
    one.begin()
    return one


def test_each_comparison_on_the_same_rows_is_one_look_more(book):
    assert [book.look(key).number for key in "abc"] == [1, 2, 3]
    assert book.look("d").before == tuple(look.run for look in book.looks()[:3])


def test_data_that_grows_goes_on_and_a_mostly_new_set_starts_again(book):
    assert book.look("a", at=(0, 1000)).number == 1
    assert book.look("b", at=(0, 1200)).number == 2
    assert book.look("c", at=(900, 2100)).number == 1
    assert book.look("d", at=(900, 2200)).number == 2


def test_the_same_model_against_the_same_champion_keeps_its_number(book):
    book.look("a")
    book.look("b")
    book.look("c")
    again = book.look("b")
    assert (again.number, again.again, len(again.before)) == (2, True, 1)
    assert book.look("d").number == 4


def test_another_champion_is_another_look(book):
    book.look("a", champion="1")
    assert book.look("a", champion="2").number == 2


def test_looks_under_another_scheme_cannot_be_told_apart_and_count(book):
    book.look("a", at=(0, 1000), scheme="other")
    assert book.look("b", at=(5000, 6000)).number == 2


def test_a_tag_that_cannot_be_read_counts(book):
    book.client.set_tag(book.run(), TAG, "{broken")
    book.client.set_tag(book.run(), TAG, '{"look": 1}')
    assert book.look("a").number == 3


def test_a_run_that_somebody_deleted_has_looked(book):
    run = book.run()
    book.look("a", run=run)
    book.client.delete_run(run)
    assert book.look("b").number == 2


def test_a_second_look_of_one_run_after_a_lost_race_is_kept_beside_the_first(book):
    run = book.run()
    book.look("a", champion="1", run=run)
    assert book.look("a", champion="2", run=run).number == 2
    book.look("a", champion="2", run=run)  # asked again: nothing is added
    tags = book.client.get_run(run).data.tags
    assert sorted(name for name in tags if name.startswith(TAG)) == [TAG, f"{TAG}.2"]
    assert [look.champion for look in book.looks()] == ["1", "2"]


def test_members_and_runs_that_did_not_compare_are_no_looks(book):
    book.run()
    assert book.looks() == []


def test_a_tracking_server_that_is_away_is_said(book):
    from dataclasses import replace

    from flows.errors import PenstockError

    (book.home.root / "none.db").write_bytes(b"this is no database" * 100)
    away = replace(book.home, tracking_uri=f"sqlite:///{book.home.root / 'none.db'}")
    with pytest.raises(PenstockError, match="must say what was compared before"):
        looks_of(away, "1")
