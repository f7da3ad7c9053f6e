"""Killed before each of its database commits in turn: the old state or the new, and the next run ends it."""

from dataclasses import replace

import pytest

from flows.reconcile import reconcile
from flows.versions import MECHANICAL, METRIC


class Stage:
    """One model to publish again and again, each time under another name."""

    def __init__(self, desk, publisher, sound, *, second):
        self.desk, self.publisher, self.sound, self.second = desk, publisher, sound, second
        self.before = desk.candidate("v", key="v" * 8, promote=True, compared_with=None)
        self.given = desk.candidate(
            "w", key="w" * 8, promote=True, compared_with=1 if second else None, rule="better"
        )

    def name(self, fatal):
        return f"{self.desk.name} {'second' if self.second else 'first'} {fatal}"

    def begin(self, fatal):
        """Publish the model that was there before, and the one in question with a kill."""
        name = self.name(fatal)
        if self.second:
            self.desk.publish(replace(self.before, name=name, key=f"v {name}"))
        candidate = replace(self.given, name=name, key=f"w {name}", run=f"run-w-{fatal}")
        return candidate, self.publisher.publish(self.desk, candidate, fatal=fatal)

    def count(self):
        """How many commits an undisturbed publication takes."""
        _, answer = self.begin(0)
        return answer["commits"]

    def killed(self, fatal):
        candidate, answer = self.begin(fatal)
        assert answer == {"killed": -9}
        self.old_or_new(candidate)
        reconcile(self.desk.home, candidate.name)
        assert reconcile(self.desk.home, candidate.name) == []
        self.old_or_new(candidate)
        made = self.desk.publish(candidate)
        assert self.desk.aliases(candidate.name)["champion"] == made.version == 1 + self.second
        keys = [candidate.key, *([f"v {candidate.name}"] if self.second else [])]
        self.sound(self.desk, candidate.name, keys)
        assert not (self.desk.home.runs / candidate.run / "model").exists()

    def old_or_new(self, candidate):
        """No alias points to what has not earned it, at whatever moment."""
        models = [
            m for m in self.desk.client.search_registered_models() if m.name == candidate.name
        ]
        aliases = dict(models[0].aliases) if models else {}
        if self.second:
            assert aliases["champion"] in {"1", "2", 1, 2}
        for alias, number in aliases.items():
            tags = self.desk.version(number, candidate.name).tags
            assert MECHANICAL in tags
            assert METRIC in tags or alias != "champion"


@pytest.fixture
def stage(own_desk, publisher, sound):
    return lambda *, second: Stage(own_desk, publisher, sound, second=second)


@pytest.mark.slow
def test_killed_at_the_first_the_middle_and_the_last_commit(stage):
    second = stage(second=True)
    commits = second.count()
    for fatal in (1, commits // 2, commits):
        second.killed(fatal)


@pytest.mark.long
def test_killed_before_every_fourth_commit(stage):
    second = stage(second=True)
    for fatal in range(2, second.count() + 1, 4):
        second.killed(fatal)


@pytest.mark.long
@pytest.mark.parametrize("second", [True, False], ids=["with a champion", "the first model"])
def test_killed_before_each_commit_in_turn(stage, second):
    any_of_them = stage(second=second)
    commits = any_of_them.count()
    assert commits > 15
    for fatal in range(1, commits + 1):
        any_of_them.killed(fatal)
