"""Two promoters at once, real processes: no loser on top, no twins, a whole log."""

import time
from dataclasses import replace
from itertools import pairwise

import pytest

from flows.home import open_home
from flows.promotions import log

SOON = 0.15  # seconds from the command to the common start


def race(desk, publishers, candidates, qualities):
    """Let both publish from one moment on; whoever lost the race is judged again."""
    at = time.time() + SOON
    for publisher, candidate, quality in zip(publishers, candidates, qualities, strict=True):
        publisher.ask(desk, candidate, at=at, quality=quality)
    return [publisher.answer() for publisher in publishers]


class Races:
    """Many races, each for the place of a model of its own, over the same few models."""

    def __init__(self, desk, publishers, sound):
        self.desk, self.publishers, self.sound = desk, publishers, sound
        self.given = [desk.candidate(mark, promote=True) for mark in "cab"]

    def candidates(self, number):
        name = f"{self.desk.name} {number}"
        return [
            replace(given, name=name, key=f"{name} {mark}", run=f"run-{mark}-{number}")
            for given, mark in zip(self.given, "cab", strict=True)
        ]

    def of_two_models(self, number):
        """Both are better than the champion; the better one must have the place at the end."""
        champion, *both = self.candidates(number)
        tags = {**champion.tags, "quality": "0.5"}
        self.desk.publish(replace(champion, tags=tags))
        qualities = (0.6, 0.7) if number % 2 else (0.7, 0.6)
        answers = race(self.desk, self.publishers, both, qualities)
        assert all("error" not in answer for answer in answers), answers
        self.sound(self.desk, champion.name, [champion.key, *(one.key for one in both)])
        at = self.desk.aliases(champion.name)["champion"]
        assert self.desk.version(at, champion.name).tags["penstock.quality"] == "0.7"
        moves = [entry for entry in log(self.desk.home, champion.name) if entry.state == "done"]
        assert all(later.before == earlier.to for earlier, later in pairwise(moves))
        worth = [
            float(self.desk.version(entry.to, champion.name).tags["penstock.quality"])
            for entry in moves
        ]
        assert worth == sorted(set(worth))

    def of_one_key(self, number):
        """Both publish the same; there is one version at the end, and one logged model."""
        champion, one, _ = self.candidates(number)
        self.desk.publish(champion)
        both = [replace(one, compared_with=1), replace(one, compared_with=1, run=f"{one.run}-too")]
        answers = race(self.desk, self.publishers, both, (None, None))
        assert [answer["version"] for answer in answers] == [2, 2]
        assert sorted(answer["unchanged"] for answer in answers) == [False, True]
        self.sound(self.desk, champion.name, [champion.key, one.key])


@pytest.fixture
def races(own_desk, publishers, sound):
    return Races(own_desk, publishers, sound)


@pytest.mark.long
def test_two_promoters_at_once_leave_the_better_one_in_service(races):
    races.of_two_models(0)


@pytest.mark.slow
def test_two_processes_that_publish_the_same_make_one_version(races):
    races.of_one_key(0)


@pytest.fixture
def server_races(
    tmp_path, make_mlflow_server, prefect_server, monkeypatch, desk_at, publishers, sound
):
    """Races on a real MLflow server, under the lease of a real Prefect server."""
    (tmp_path / "server").mkdir()
    server = make_mlflow_server(tmp_path / "server")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    home = open_home(tmp_path)
    assert home.prefect_url == prefect_server
    return Races(desk_at(home, "신용"), publishers, sound)


@pytest.mark.long
@pytest.mark.parametrize("where", ["races", "server_races"])
def test_no_race_of_many_ends_with_a_loser_or_a_twin(where, request):
    races = request.getfixturevalue(where)
    for number in range(50):
        races.of_two_models(number)
        if number % 5 == 0:
            races.of_one_key(100 + number)
