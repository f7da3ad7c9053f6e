"""The log of champions: one tag an entry, in order, settled after whatever cut it short."""

import json
from dataclasses import replace

import pytest

from flows.champion import Move, entry_for, move_champion, settle
from flows.promotions import Entry, anchor, close, entries, log, write
from flows.registry import addressed, client
from flows.versions import HOLD, standing


def free():
    """A lease that is held."""


@pytest.fixture
def two(own_desk, examined):
    """Three versions: the second in service, the third the newest."""
    own_desk.copies(examined, 3)
    own_desk.point(previous=1, champion=2, challenger=3)
    for seq in (1, 2):
        entry = Entry(seq=seq, before=seq - 1 or None, to=seq, rule="better", state="done")
        write(own_desk.client, own_desk.name, entry)
    return own_desk


def begun(desk, to=3, **facts):
    """Write an entry as a process does that is killed right after."""
    now = standing(desk.home, desk.name)
    move = Move(to=to, rule="better", previous=now.champion, **facts)
    entry = entry_for(now, move)
    write(desk.client, desk.name, entry)
    return entry


def settled(desk):
    with addressed(desk.home):
        return settle(desk.home, desk.name, free)


def test_an_entry_is_read_as_it_was_written():
    entry = Entry(seq=7, before=None, to=3, rule="first", because='왜 "so"', run="r", evidence="e")
    facts = json.loads(entry.to_json())
    assert list(facts)[:3] == ["seq", "from", "to"]
    assert (facts["from"], facts["state"], facts["because"]) == (None, "begun", '왜 "so"')
    assert Entry.from_json(entry.to_json()) == entry
    newer = json.dumps(facts | {"said": "by a later Penstock"})
    assert Entry.from_json(newer) == entry


def test_entries_are_in_the_order_of_their_numbers_whatever_the_clocks_say():
    texts = {
        f"penstock.log.{n:06d}": Entry(
            seq=n, before=n - 1, to=n, rule="better", at=f"20{99 - n}-01-01T00:00:00+00:00"
        ).to_json()
        for n in (10, 2, 9)
    }
    assert [entry.seq for entry in entries(texts | {"task": "binary"})] == [2, 9, 10]


def test_no_model_has_no_log_and_no_anchor(registry_home):
    assert log(registry_home, "nobody") == []
    assert anchor(registry_home, "nobody") is None


def test_the_anchor_is_the_last_that_won_as_better_and_is_not_held(own_desk, examined):
    desk = own_desk
    desk.copies(examined, 6)
    for seq, rule in enumerate(["first", "no_worse", "better", "no_worse", "rollback"], start=1):
        entry = Entry(seq=seq, before=None, to=seq, rule=rule, state="done")
        write(desk.client, desk.name, entry)
    write(desk.client, desk.name, Entry(seq=6, before=5, to=6, rule="by hand", state="abandoned"))
    assert int(anchor(desk.home, desk.name).version) == 3
    desk.client.set_model_version_tag(desk.name, "3", HOLD, "{}")
    assert int(anchor(desk.home, desk.name).version) == 1
    desk.client.delete_model_version_tag(desk.name, "3", HOLD)
    desk.client.delete_model_version(desk.name, "3")
    assert int(anchor(desk.home, desk.name).version) == 1


def test_a_move_that_was_cut_off_before_the_alias_is_finished(two):
    begun(two)
    (said,) = settled(two)
    assert said.endswith("was cut short: finished")
    assert two.aliases() == {"challenger": 3, "champion": 3, "previous": 2}
    assert [e.state for e in log(two.home, two.name)] == ["done"] * 3
    assert settled(two) == []


def test_a_move_that_was_cut_off_after_the_alias_is_marked_as_done(two):
    begun(two)
    two.client.set_registered_model_alias(two.name, "champion", "3")
    settled(two)
    assert two.aliases() == {"challenger": 3, "champion": 3, "previous": 2}
    assert log(two.home, two.name)[-1].state == "done"


def test_a_move_that_was_cut_off_is_abandoned_when_another_is_champion_by_now(two):
    entry = begun(two)
    two.client.set_registered_model_alias(two.name, "champion", "1")
    (said,) = settled(two)
    assert "another has become champion since: abandoned" in said
    last = log(two.home, two.name)[-1]
    assert (last.seq, last.state) == (entry.seq, "abandoned")
    assert last.because == "version 1 had become champion meanwhile"
    assert two.aliases()["champion"] == 1


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("penstock.blessing.mechanical", "version 3 has not answered in a fresh process"),
        ("penstock.blessing.metric", "version 3 has no verdict that promotes it"),
    ],
)
def test_what_lacks_a_blessing_is_not_made_champion_by_tidying_up(two, tag, why):
    two.client.delete_model_version_tag(two.name, "3", tag)
    begun(two)
    two.client.set_registered_model_alias(two.name, "previous", "2")  # it had come so far
    (said,) = settled(two)
    assert why in said
    assert two.aliases() == {"challenger": 3, "champion": 2, "previous": 1}


def test_a_held_or_vanished_version_is_not_made_champion_by_tidying_up(two):
    two.client.set_model_version_tag(two.name, "3", HOLD, "{}")
    begun(two)
    assert "version 3 is held" in settled(two)[0]
    two.client.delete_model_version(two.name, "3")
    begun(two)
    assert "version 3 is gone" in settled(two)[0]
    assert two.aliases()["champion"] == 2


def test_a_rollback_that_was_cut_off_is_finished_with_its_hold(two):
    now = standing(two.home, two.name)
    entry = entry_for(now, Move(to=1, rule="rollback", because="bad", previous=None))
    write(two.client, two.name, entry)
    settled(two)
    assert two.aliases() == {"challenger": 3, "champion": 1}
    assert json.loads(two.version(2).tags[HOLD])["because"] == "bad"


def test_closing_an_entry_keeps_what_it_said(two):
    entry = begun(two, because="why")
    close(two.client, two.name, entry, "done")
    assert log(two.home, two.name)[-1] == replace(entry, state="done")
    assert client(two.home).get_registered_model(two.name).tags["task"] == "binary"


@pytest.mark.parametrize("moment", [1, 2])
def test_an_alias_that_a_third_party_moves_at_the_last_moment_is_left_to_it(two, moment):
    calls = []

    def check():
        calls.append(len(calls) + 1)
        if calls[-1] == moment:
            two.point(champion=1)

    now = standing(two.home, two.name)
    move = Move(to=3, rule="better", previous=2)
    assert move_champion(two.home, two.name, now, move, check) is False
    assert two.aliases()["champion"] == 1
    last = log(two.home, two.name)[-1]
    assert (last.seq, last.state) == (3, "abandoned")
    assert last.because == "another version had become champion meanwhile"


def test_a_promoter_that_wakes_up_late_finds_its_entry_settled_and_writes_nothing(two):
    now, calls = standing(two.home, two.name), []

    def check():
        calls.append(1)
        if len(calls) == 2:  # it slept so long that another has the lease, and has settled
            settled(two)
            two.point(champion=1)

    move = Move(to=3, rule="better", previous=2)
    assert move_champion(two.home, two.name, now, move, check) is False
    assert two.aliases()["champion"] == 1
    assert [entry.state for entry in log(two.home, two.name)] == ["done"] * 3
