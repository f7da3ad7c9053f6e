"""The settings of a sweep: every way to write a space, and what is refused before training."""

import json

import jsonschema
import pytest

from flows.errors import SettingsError
from flows.settings import load_spec
from flows.spec import Spec
from flows.sweep_spec import check_table

GOOD = 'name = "n"\n[data]\nsource = "a.csv"\ntarget = "y"\n'

REFUSED = [
    ("no trials", "[sweep]\ntrials = 0", "sweep.trials: must be greater than or equal to 1"),
    ("no budget", '[sweep]\nbudget = "0s"', "sweep.budget: must be at least 1 s, found '0s'"),
    ("no duration", '[sweep]\nbudget = "soon"', "sweep.budget: must be a duration such as"),
    ("sampler", '[sweep]\nsampler = "bayes"', "must be 'tpe', 'random', 'qmc' or 'gp'"),
    ("misspelt", "[sweep]\ntrial = 3", "sweep.trial: unknown key; did you mean trials?"),
    (
        "good trials",
        "[sweep]\ntrials = 3\nmin_finished = 4",
        "must be at most trials, found 4 of 3",
    ),
    ("study alone", '[sweep]\nstudy = "s"', "study names a study in storage"),
    ("no URL", '[sweep]\nstorage = "optuna.db"', "sweep.storage: must be a database URL"),
    (
        "more epochs than there are",
        "[train]\nepochs = 5\n[sweep]\nmin_epochs = 6",
        "sweep.min_epochs: must be at most train.epochs, found 6 of 5",
    ),
    ("empty space", "[sweep.space]", "sweep.space: names nothing to search"),
    ("one setting", "[sweep.space]\nwidth = 64", "holds a single setting, but 32 trials"),
    ("parameter", "[sweep.space]\nwidht = [1, 2]", "widht: unknown key; did you mean width?"),
    ("other words", "[sweep.space]\nlearning_rate = 1.0", "did you mean lr?"),
    (
        "parameter of another family",
        "[sweep.space]\nheads = [8, 16]",
        "sweep.space.heads: mlp has no heads, tabm has; a sweep of mlp may search network, optimizer, lr",
    ),
    (
        "low above high",
        "[sweep.space]\nlr = { low = 1.0, high = 0.1 }",
        "sweep.space.lr: low must be at most high, found low = 1.0, high = 0.1",
    ),
    (
        "logarithm of zero",
        "[sweep.space]\nweight_decay = { low = 0, high = 0.1, log = true }",
        "sweep.space.weight_decay: log = true needs low above 0, found low = 0.0",
    ),
    ("half a range", "[sweep.space]\nlr = { low = 1.0 }", "a range has low and high, found low"),
    ("end misspelt", "[sweep.space]\nlr = { low = 1, hihg = 2 }", "did you mean high?"),
    (
        "list and range",
        "[sweep.space]\nlr = { low = 0.1, high = 1.0, values = [0.1] }",
        "must be a list of values or a range, found both",
    ),
    (
        "log and step",
        "[sweep.space]\nwidth = { low = 8, high = 64, step = 8, log = true }",
        "log and step exclude each other",
    ),
    (
        "step too long",
        "[sweep.space]\nwidth = { low = 8, high = 64, step = 100 }",
        "step must fit between low and high",
    ),
    ("empty list", "[sweep.space]\nwidth = []", "must hold at least one value"),
    ("twice", "[sweep.space]\nwidth = [8, 16, 8]", "must hold each value once, found 8 twice"),
    ("text", '[sweep.space]\nlr = "high"', "must be a number, a list of numbers, or { low"),
    ("truth", "[sweep.space]\nlr = true", "must be a number, a list of numbers"),
    ("half a unit", "[sweep.space]\nwidth = [64.5]", "sweep.space.width"),
    ("infinite", "[sweep.space]\nlr = { low = 0.1, high = inf }", "must be a finite number"),
    ("all dropped", "[sweep.space]\ndropout = [0.1, 1.0]", "at least 0 and below 1, found 1.0"),
    (
        "no rate",
        "[sweep.space]\nlr = [0, 0.1]",
        "every value must be above 0 and at most 1e+09, found 0",
    ),
    ("one row", "[sweep.space]\nbatch = [1, 64]", "every value must be at least 2"),
    (
        "word misspelt",
        '[sweep.space]\nembedding = ["piecewise", "periodc"]',
        "found 'periodc'; did you mean 'periodic'?",
    ),
    (
        "length of nothing",
        '[sweep.space]\nnumber_size = [4, 8]\nembedding = "none"',
        'needs an embedding, but embedding is "none"',
    ),
    (
        "classes of a number",
        "[sweep.space]\nlabel_smoothing = [0.0, 0.1]\nlr = [0.1]",
        "sweep.space.label_smoothing: needs classes, but task is regression",
    ),
    ("heads of mlp", "[train]\nheads = 4", 'train.heads: needs network = "tabm"'),
    ("address", '[execution]\naddress = "tcp://h:1"', 'address needs runner = "dask"'),
]


@pytest.mark.parametrize(
    ("text", "said"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_a_sweep_that_cannot_work_is_refused_by_file_and_key(write_spec, text, said):
    task = 'task = "regression"\n' if "classes" in said else ""
    path = write_spec(task + GOOD + text)
    with pytest.raises(SettingsError) as caught:
        load_spec(path)
    assert said in str(caught.value)
    assert f"{path}:" in str(caught.value)


def test_a_problem_of_the_space_names_its_line(write_spec):
    path = write_spec(GOOD + "[sweep]\n[sweep.space]\nlr = [0.1, 0.2]\nheads = [8, 16]\n")
    with pytest.raises(SettingsError, match=r"spec\.toml:8: sweep\.space\.heads"):
        load_spec(path)


def test_an_axis_is_a_value_a_list_or_a_range_and_is_written_back_as_it_was(write_spec):
    space = {
        "lr": "{ low = 1e-4, high = 1e-2, log = true }",
        "dropout": "{ low = 0, high = 0.5 }",
        "width": "[64, 128]",
        "depth": "{ low = 1, high = 3, step = 1 }",
        "activation": '"silu"',
        "optimizer": '["adamw", "lion"]',
    }
    lines = "".join(f"{name} = {axis}\n" for name, axis in space.items())
    spec = load_spec(write_spec(GOOD + "[sweep.space]\n" + lines))
    dumped = {k: v for k, v in spec.model_dump(mode="json")["sweep"]["space"].items() if v}
    assert dumped == {
        "lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "dropout": {"low": 0.0, "high": 0.5},
        "width": [64, 128],
        "depth": {"low": 1, "high": 3, "step": 1},
        "activation": "silu",
        "optimizer": ["adamw", "lion"],
    }
    assert spec.sweep.space.activation.single
    assert not spec.sweep.space.depth.single


def test_a_space_over_families_may_search_what_one_of_them_has(write_spec):
    text = GOOD + '[sweep.space]\nnetwork = ["mlp", "tabm"]\nheads = [8, 16]\n'
    assert load_spec(write_spec(text)).sweep.space.heads.choices == (8, 16)


def test_without_the_section_or_switched_off_there_is_no_search(write_spec):
    path = write_spec(GOOD)
    assert load_spec(path).search is None
    assert load_spec(path, ["sweep.trials=3"]).search.trials == 3
    assert load_spec(path, ["sweep.trials=3", "sweep.enabled=false"]).search is None


def test_the_schema_takes_what_the_reader_takes(write_spec):
    checker = jsonschema.Draft202012Validator(json.loads(json.dumps(Spec.model_json_schema())))

    def spec(space):
        return {
            "name": "n",
            "data": {"source": "a", "target": "y"},
            "sweep": {"space": space},
        }

    for lr in (0.1, [0.1, 0.2], {"low": 0.1, "high": 1, "log": True}):
        checker.validate(spec({"lr": lr}))
    for lr in ("x", ["x"], {"lo": 0.1}):
        assert not checker.is_valid(spec({"lr": lr}))


def test_a_space_that_does_not_fit_the_table_is_refused_by_its_rows(write_spec):
    text = GOOD + "[sweep.space]\nbatch = [64, 512]\nlabel_smoothing = [0.0, 0.1]\n"
    sweep = load_spec(write_spec(text)).search
    with pytest.raises(ValueError, match="at most the 300 train rows of a fold, found 512"):
        check_table(sweep, rows=300, regression=False)
    with pytest.raises(ValueError, match="label_smoothing: needs classes"):
        check_table(sweep, rows=600, regression=True)
    check_table(sweep, rows=600, regression=False)
