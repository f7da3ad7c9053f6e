"""Settings files: what is refused, and what the message says."""

import tomllib

import pytest

from flows.errors import SettingsError
from flows.settings import load_spec
from flows.spec import Spec

GOOD = 'name = "n"\n[data]\nsource = "a.csv"\ntarget = "y"\n'

REFUSED = [
    (
        "unknown key, nearest",
        GOOD + "separater = ';'",
        "data.separater: unknown key; did you mean separator?",
    ),
    (
        "key of another section",
        "epochs = 3\n" + GOOD,
        "epochs: unknown key; did you mean train.epochs?",
    ),
    (
        "unknown section key",
        GOOD + "[train]\nmember = 2",
        "train.member: unknown key; did you mean members?",
    ),
    ("wrong type", GOOD + 'header = "yes"', "data.header: must be a valid boolean, found 'yes'"),
    (
        "negative count",
        GOOD + "[train]\nepochs = -3",
        "train.epochs: must be greater than or equal to 1, found -3",
    ),
    ("NaN rate", GOOD + "[train]\nlr = nan", "train.lr: must be a finite number, found nan"),
    (
        "seed too large",
        GOOD + "[train]\nseed = 18446744073709551616",
        "train.seed: must be less than",
    ),
    (
        "fraction",
        GOOD + "[train]\nmembers = 1.5",
        "train.members: must be a valid integer, found 1.5",
    ),
    (
        "boolean for a number",
        GOOD + "[train]\nmembers = true",
        "train.members: must be a valid integer, found True",
    ),
    (
        "choice",
        GOOD + '[split]\nby = "rows"',
        "split.by: must be 'row', 'group', 'time' or 'given', found 'rows'",
    ),
    ("missing key", 'name = "n"\n[data]\nsource = "a.csv"', "data.target: is required"),
    ("duplicate key", GOOD + "target = 'z'", "not valid TOML: Cannot overwrite a value"),
    ("no TOML", "name: x", "not valid TOML"),
    ("name for a registry", GOOD.replace('"n"', '"a/b"'), "name: must not hold / :"),
    (
        "one fold",
        GOOD + "[split]\nfolds = 1",
        "folds must be 0 (one validation side) or at least 2",
    ),
    ("group without column", GOOD + '[split]\nby = "group"', 'split.by = "group" needs data.group'),
    (
        "time with folds",
        GOOD + 'time = "t"\n[split]\nby = "time"\nfolds = 5',
        "keeps the order of rows",
    ),
    ("given without source", GOOD + '[split]\nby = "given"', "belong together"),
    (
        "no rows to train",
        GOOD + "[split]\ntest = 0.6\nvalidation = 0.5",
        "must leave rows to train on",
    ),
    ("two roles", GOOD + 'id = "y"', "'y' is both target and id"),
    (
        "header and names",
        GOOD + "header = false",
        "names must list the columns when header = false",
    ),
    ("same marks", GOOD + 'decimal = ","\nthousands = ","', "decimal and thousands must differ"),
    ("encoding", GOOD + 'encoding = "utf-9"', "must be a text encoding that Python knows"),
    (
        "negative cost",
        GOOD + "[decision]\ncosts = { a = { b = -1 } }",
        "must be greater than or equal to 0",
    ),
    (
        "text floor",
        GOOD + '[gate]\nfloors = { auc = "high" }',
        "gate.floors.auc: must be a valid number",
    ),
    ("our own key", 'path = "x"\n' + GOOD, "path: unknown key"),
]


@pytest.mark.parametrize(
    ("text", "said"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_settings_that_cannot_work_are_refused_by_file_and_key(write_spec, text, said):
    path = write_spec(text)
    with pytest.raises(SettingsError) as caught:
        load_spec(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_problem_names_its_line(write_spec):
    path = write_spec(GOOD + "[train]\n# a comment\nepochs = 0\n")
    with pytest.raises(SettingsError, match=r"spec\.toml:7: train\.epochs"):
        load_spec(path)


def test_all_problems_are_listed_at_once_up_to_a_cap(write_spec):
    path = write_spec(GOOD + "".join(f"key{i} = 1\n" for i in range(14)))
    with pytest.raises(SettingsError) as caught:
        load_spec(path)
    assert str(caught.value).count("unknown key") == 10
    assert "... and 4 more" in str(caught.value)


def test_a_missing_file_names_the_nearest_one(write_spec):
    path = write_spec(GOOD)
    with pytest.raises(SettingsError, match=r"did you mean spec\.toml"):
        load_spec(path.with_name("spce.toml"))


def test_overrides_are_toml_values_or_text(write_spec):
    path = write_spec(GOOD)
    spec = load_spec(
        path, ["train.seed=3", 'data.drop=["a"]', "gate.floors.roc_auc=0.8", "data.id=k"]
    )
    assert (spec.train.seed, spec.data.drop, spec.data.id) == (3, ("a",), ("k",))
    assert spec.gate.floors == {"roc_auc": 0.8}


def test_an_override_may_name_a_column_with_dots(write_spec):
    spec = load_spec(write_spec(GOOD), ['data.columns."a.b".kind="date"'])
    assert spec.data.columns["a.b"].kind == "date"


@pytest.mark.parametrize("override", ["train.sed=1", "train.seed=-1", "seed", "name.x=1"])
def test_a_wrong_override_is_refused_by_its_key(write_spec, override):
    with pytest.raises(SettingsError, match="--set"):
        load_spec(write_spec(GOOD), [override])


def test_settings_are_frozen(write_spec):
    spec = load_spec(write_spec(GOOD))
    with pytest.raises(ValueError, match="frozen"):
        spec.train.seed = 4


def test_names_in_any_script_are_ordinary(write_spec):
    spec = load_spec(write_spec('name = "신용"\n[data]\nsource = "표.csv"\ntarget = "위험"\n'))
    assert (spec.name, spec.data.target) == ("신용", "위험")


def test_every_key_is_described_in_the_schema():
    schema = Spec.model_json_schema()
    sections = {"Spec": schema, **schema["$defs"]}
    bare = [
        f"{section}.{key}"
        for section, body in sections.items()
        for key, field in body.get("properties", {}).items()
        if "description" not in field and "$ref" not in field and key != "decision"
    ]
    assert bare == []


@pytest.mark.parametrize("example", ["breast_cancer", "diabetes", "wine", "deliveries"])
def test_every_example_is_a_spec(example, pytestconfig):
    path = pytestconfig.rootpath / "examples" / f"{example}.toml"
    assert load_spec(path).name == tomllib.loads(path.read_text("utf-8"))["name"]
