"""The study: what a resumed one asks, what it refuses, what mattered."""

import math

import pytest

from flows.errors import PenstockError, SettingsError
from flows.importance import importance
from flows.settings import load_spec
from flows.space import space_of
from flows.study import Study
from models.settings import TrainSettings

GOOD = 'name = "n"\n[data]\nsource = "a.csv"\ntarget = "y"\n'
CONDITIONAL = """[sweep.space]
network = ["mlp", "tabm"]
heads = [4, 8]
lr = { low = 1e-4, high = 1e-1, log = true }
dropout = { low = 0.0, high = 0.5 }
depth = { low = 1, high = 3 }
"""
BATCH, TRIALS = 4, 16


@pytest.fixture
def space(write_spec):
    def made(text=""):
        spec = load_spec(write_spec(GOOD + "[sweep]\n" + text))
        return space_of(spec, TrainSettings(task="binary", members=1), 500)

    return made


def opened(place, space, sampler="tpe", seed=3, digest="d"):
    return Study(place, name="n", digest=digest, space=space, sampler=sampler, seed=seed)


def score(parameters):
    return abs(math.log10(parameters["lr"] / 2e-3)) + parameters["dropout"]


def tell(study, one):
    if one.number % 5 == 4:
        study.tell(one.number, "failed", None, reason="NaN")
    elif one.number % 3 == 1:
        study.tell(one.number, "pruned", score(one.parameters), at=3)
    else:
        study.tell(one.number, "finished", score(one.parameters))


def searched(study, *, asks=TRIALS, tells=TRIALS):
    """Ask and tell in batches; stop after so many asks or tells, as a kill would."""
    told = len([a for a in study.asked() if a.told])
    while True:
        known = study.asked()
        if told >= tells:
            return known
        opened_here = [a for a in known if not a.told]
        missing = -len(known) % BATCH if known else BATCH
        if not opened_here and not missing:
            if len(known) >= TRIALS:
                return known
            missing = BATCH
        study.ask(min(missing, asks - len(known)))
        if len(study.asked()) == asks < TRIALS:
            return study.asked()
        for one in [a for a in study.asked() if not a.told]:
            if told >= tells:
                return study.asked()
            tell(study, one)
            told += 1


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
@pytest.mark.parametrize("text", ["", CONDITIONAL], ids=["plain", "conditional"])
def test_a_resumed_study_asks_what_an_undisturbed_one_asks(tmp_path, space, sampler, text):
    made = space(text)
    whole = searched(opened(tmp_path / "a", made, sampler))
    assert len(whole) == TRIALS
    assert len({str(a.parameters) for a in whole}) == TRIALS
    searched(opened(tmp_path / "b", made, sampler), tells=6)  # killed between two tells
    searched(opened(tmp_path / "b", made, sampler), asks=10)  # and between two asks
    assert searched(opened(tmp_path / "b", made, sampler)) == whole


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
@pytest.mark.parametrize("known", [1, 2])
def test_a_trial_that_was_cut_off_between_two_parameters_gets_those_it_would_have_had(
    tmp_path, space, sampler, known
):
    made = space()
    whole = opened(tmp_path / "a", made, sampler).ask(3)

    class CutOffError(Exception):
        pass

    study = opened(tmp_path / "b", made, sampler)
    study.ask(2)
    study._sampler(2)
    cut = study.study.ask()
    left = [known]

    class Trial:
        def __getattr__(self, name):
            if left[0] == 0:
                raise CutOffError
            left[0] -= 1
            return getattr(cut, name)

    with pytest.raises(CutOffError):
        made.suggest(Trial())
    assert opened(tmp_path / "b", made, sampler).asked() == whole


def test_another_seed_asks_other_settings_after_the_first(tmp_path, space):
    found = [opened(tmp_path / str(s), space(), seed=s).ask(2) for s in (0, 1)]
    assert found[0][0] == found[1][0]  # the family's own
    assert found[0][1] != found[1][1]


def test_trials_asked_and_not_told_keep_number_and_parameters(tmp_path, space):
    first = opened(tmp_path / "j", space())
    asked = first.ask(3)
    first.tell(1, "finished", 0.5)
    again = opened(tmp_path / "j", space()).asked()
    assert [(a.number, a.parameters) for a in again] == [(a.number, a.parameters) for a in asked]
    assert [a.told for a in again] == [False, True, False]


def test_a_line_that_a_kill_cut_off_does_not_stop_the_next_sitting(tmp_path, space):
    asked = opened(tmp_path / "j", space()).ask(2)
    with (tmp_path / "j").open("ab") as journal:
        journal.write(b'{"op_code":5,"tri')
    again = opened(tmp_path / "j", space())
    assert again.asked() == asked
    again.ask(1)
    assert len(opened(tmp_path / "j", space()).asked()) == 3


def test_a_study_of_other_settings_under_the_same_name_is_refused(tmp_path, space):
    address = f"sqlite:///{tmp_path / 'optuna.db'}"
    first = opened(address, space())
    first.ask(1)
    with pytest.raises(SettingsError, match=r"the study 'n' must be of these settings .* another"):
        opened(address, space(), digest="e")
    assert len(opened(address, space()).asked()) == 1


def test_a_database_is_a_storage_like_the_journal_and_may_be_named_by_the_environment(
    tmp_path, space, monkeypatch
):
    monkeypatch.setenv("STUDIES", f"sqlite:///{tmp_path / 'optuna.db'}")
    known = searched(opened(tmp_path / "j", space()), tells=5)
    assert searched(opened("${STUDIES}", space()), tells=5) == known


def test_a_database_that_is_not_there_is_said_without_its_password(space, monkeypatch):
    with pytest.raises(PenstockError, match=r"sweep\.storage: the database") as caught:
        opened("postgresql://me:secret@127.0.0.1:9/studies", space())
    assert "secret" not in str(caught.value)
    monkeypatch.delenv("STUDIES", raising=False)
    with pytest.raises(SettingsError, match="STUDIES, which is not set"):
        opened("${STUDIES}", space())


def test_the_sampler_learns_from_what_it_is_told(tmp_path, space):
    """Its later half lies nearer to the planted best region than chance does."""
    late = {}
    for sampler in ("tpe", "random"):
        study = opened(tmp_path / sampler, space(), sampler)
        for _ in range(10):
            for one in study.ask(8):
                study.tell(one.number, "finished", score(one.parameters))
        scores = [score(a.parameters) for a in study.asked()[40:]]
        late[sampler] = sum(scores) / len(scores)
    assert late["tpe"] < 0.7 * late["random"]


def test_what_mattered_is_found_and_too_few_trials_say_nothing(tmp_path, space):
    made = space()
    asked = opened(tmp_path / "j", made, "random").ask(40)
    rows = [(a.parameters, a.parameters["dropout"] ** 2) for a in asked]
    shares = importance(made, rows)
    assert next(iter(shares)) == "dropout"
    assert sum(shares.values()) == pytest.approx(1)
    assert importance(made, rows[:7]) == {}
    assert importance(made, [(parameters, 1.0) for parameters, _ in rows]) == {}
