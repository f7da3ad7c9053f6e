"""What a sweep searches: published spaces by size, conditions, what is tried first."""

import optuna
import pytest

from flows.settings import load_spec
from flows.space import resolved, space_of
from models.settings import TrainSettings

GOOD = 'name = "n"\n[data]\nsource = "a.csv"\ntarget = "y"\n'


@pytest.fixture
def space(write_spec):
    def made(text="", rows=500, **settings):
        spec = load_spec(write_spec(GOOD + "[sweep]\n" + text))
        return space_of(spec, TrainSettings(task="binary", members=1, **settings), rows)

    return made


def asked(space, seed=0):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return [space.suggest(study.ask()) for _ in range(40)]


@pytest.mark.parametrize("network", ["mlp", "tabm"])
@pytest.mark.parametrize("rows", [200, 5_000, 500_000])
def test_the_published_space_holds_the_family_s_own_settings_which_come_first(space, network, rows):
    found = space(rows=rows, network=network)
    (first,) = found.first
    own = resolved(TrainSettings(task="binary", network=network), rows)
    assert found.published
    assert first == {name: own[name] for name in found.axes}
    assert set(found.searched) == {"lr", "weight_decay", "dropout", "width", "depth"}


def test_published_widths_grow_with_the_table(space):
    small, large = (space(rows=rows).axes["width"].choices for rows in (500, 50_000))
    assert max(small) < max(large)


def test_a_width_that_the_settings_give_is_not_searched(space):
    assert "width" not in space(width=32).axes


def test_every_setting_asked_for_is_one_that_trains(space):
    for found in asked(space()):
        settings = TrainSettings(task="binary", **found)
        assert 3e-4 <= settings.lr <= 1e-2
        assert settings.depth in (1, 2, 3)


def test_what_cannot_matter_is_not_asked_for(space):
    text = """[sweep.space]
network = ["mlp", "tabm"]
embedding = ["piecewise", "none"]
heads = [4, 8]
number_size = [4, 8]
"""
    found = asked(space(text))
    assert {("heads" in s) == (s["network"] == "tabm") for s in found} == {True}
    assert {("number_size" in s) == (s["embedding"] != "none") for s in found} == {True}
    assert {s["network"] for s in found} == {"mlp", "tabm"}


def test_a_space_over_families_tries_the_own_settings_of_each_first(space):
    found = space('[sweep.space]\nnetwork = ["mlp", "tabm"]\nweight_decay = [0.01, 3e-4]\n')
    assert found.first == (
        {"network": "mlp", "weight_decay": 0.01},
        {"network": "tabm", "weight_decay": 3e-4},
    )


def test_first_settings_outside_of_the_space_are_left_out(space):
    found = space("[sweep.space]\nlr = { low = 0.01, high = 0.1 }\ndepth = [2, 3]\nwidth = 64\n")
    assert found.first == ({"depth": 2},)
    assert not found.published
    assert {s["width"] for s in asked(found)} == {64}


def test_numbers_have_four_digits_and_stay_within_their_range(space):
    found = space("[sweep.space]\nlr = { low = 0.00012344, high = 0.00012346, log = true }\n")
    values = [s["lr"] for s in asked(found)]
    assert all(0.00012344 <= value <= 0.00012346 for value in values)
    spread = asked(space("[sweep.space]\nlr = { low = 0.001, high = 0.1 }\n"))
    assert all(float(f"{s['lr']:.4g}") == s["lr"] for s in spread)


def test_settings_are_named_alike_for_every_trial_of_a_family():
    one = resolved(TrainSettings(task="binary"), 500)
    other = resolved(TrainSettings(task="binary", lr=0.1, width=8, class_weight="balanced"), 500)
    assert list(one) == list(other)
    assert "auto" not in one.values()
    assert "heads" in resolved(TrainSettings(task="binary", network="tabm"), 500)
    assert "label_smoothing" not in resolved(TrainSettings(task="regression"), 500)
