"""The canary: leaks planted inside the real fit, the real table and a person's own code are caught."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from flows.errors import DataRefused
from flows.home import open_home
from flows.maker import Maker
from flows.progress import Progress
from flows.settings import load_spec
from models import fit
from models.encode import Encoder

ROWS = 240
SPEC = 'name = "t"\n[data]\nsource = "{source}"\ntarget = "y"\n'


def honest(rows=ROWS):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.gamma(2, 30, rows).round(2), "b": random.normal(size=rows)})
    frame["c"] = random.choice(["red", "green", "blue"], rows)
    frame.loc[::11, "a"] = np.nan
    frame["y"] = np.where(random.random(rows) < 0.4, "yes", "no")
    return frame.round(3)


@pytest.fixture
def spec(tmp_path):
    def make(source="t.csv", more=""):
        honest().to_csv(tmp_path / "t.csv", index=False)
        (tmp_path / "t.toml").write_text(SPEC.format(source=source) + more, encoding="utf-8")
        return load_spec(tmp_path / "t.toml")

    return make


def flown(spec):
    maker = Maker(spec, open_home(spec.folder), Progress(quiet=True))
    for stage in ("load", "analyze", "contract", "engineer", "validate", "split", "canary"):
        maker.make(stage)
    return maker.progress.warnings


class Scaling(Encoder):
    def fit(self, table, room=None):
        super().fit(table, room)
        self.center[:] = self.center.new_tensor(np.nanmean(table.numbers, axis=0))
        return self


class Imputing(Encoder):
    def fit(self, table, room=None):
        super().fit(table, room)
        self.median[:] = self.median.new_tensor(np.nanmedian(table.numbers, axis=0))
        return self


class Vocabulary(Encoder):
    def _fit_categories(self, categories, trains):
        super()._fit_categories(categories, [np.ones(len(categories), bool) for _ in trains])


class Selecting(Encoder):
    def fit(self, table, room=None):
        super().fit(table, room)
        joined = np.column_stack([np.nan_to_num(table.numbers), table.target])
        weakest = np.abs(np.corrcoef(joined.T)[-1, :-1]).argmin()
        self.factor[:, weakest] = 0
        return self


class Crossing(Encoder):
    def _fit_crossing(self, table, codes, trains):
        super()._fit_crossing(table, codes, [np.ones(len(table.target), bool) for _ in trains])


class Reducing(Encoder):
    def _fit_bins(self, numbers, codes, trains, room):
        everyone = [np.ones(len(numbers), bool) for _ in trains]
        super()._fit_bins(numbers, codes, everyone, room)


class Keeping(Encoder):
    def _drop(self, table, codes, trains):
        super()._drop(table, codes, [np.ones(len(table.target), bool) for _ in trains])


@pytest.mark.parametrize("planted", [Scaling, Imputing, Vocabulary, Selecting])
def test_a_leak_planted_inside_the_real_pipeline_is_caught(spec, monkeypatch, planted):
    monkeypatch.setattr(fit, "Encoder", planted)
    with pytest.raises(DataRefused, match="what it learned from the others moved: encoder"):
        flown(spec())


MADE = """
[features]
interactions = 2
keep = 2
keep_by = "importance"
drop_constant = 0.99
drop_outliers = 2.5
reduce = { kind = "autoencoder", size = 2, join = true }
[train]
balance = "over"
"""


@pytest.mark.parametrize(
    ("planted", "made"),
    [
        (Reducing, '[features]\nreduce = { kind = "pca", size = 2 }\n'),
        (Keeping, "[features]\nkeep = 1\n"),
    ],
)
def test_a_leak_planted_where_features_are_made_is_caught(spec, monkeypatch, planted, made):
    monkeypatch.setattr(fit, "Encoder", planted)
    with pytest.raises(DataRefused, match="what it learned from the others moved: encoder"):
        flown(spec(more=made))


def test_a_cross_that_was_chosen_by_all_rows_is_caught(spec, monkeypatch, tmp_path):
    made = spec(more="[features]\ninteractions = 1\n")
    frame = honest(800)
    frame["b"] += 2
    crossed = frame["a"].fillna(60) * frame["b"]
    frame["y"] = np.where(crossed > crossed.median(), "yes", "no")
    frame.to_csv(tmp_path / "t.csv", index=False)
    flown(made)
    monkeypatch.setattr(fit, "Encoder", Crossing)
    made = load_spec(tmp_path / "t.toml", ["features.interactions=2"])
    with pytest.raises(
        DataRefused, match=r"what it learned from the others moved: encoder\.crossing"
    ):
        flown(made)


def test_a_prior_of_all_rows_is_caught(spec, monkeypatch):
    def leaky(table, *, folds, kind):
        shares = np.bincount(table.target, table.weight)
        return fit.torch.from_numpy(np.log(shares / shares.sum())).repeat(folds, 1)

    monkeypatch.setattr(fit, "offsets", leaky)
    with pytest.raises(DataRefused, match=r"moved: train rows\.offset"):
        flown(spec(more='[train]\nbalance = "weights"\n'))


def test_outliers_by_bounds_of_all_rows_are_caught(spec, monkeypatch):
    from models import canary

    real = canary.without_outliers

    def leaky(table, limit, **how):
        found = real(table, limit, **how).outliers
        far = np.abs(table.numbers - np.nanmedian(table.numbers, 0)) > np.nanstd(table.numbers, 0)
        rows = far.any(axis=1) & (table.fold != 0)
        return replace(table, outliers=replace(found, rows=rows[None]))

    made = spec(more="[features]\ndrop_outliers = 2.0\n")
    flown(made)
    monkeypatch.setattr(canary, "without_outliers", leaky)
    made = load_spec(made.path, ["features.drop_outliers=2.5"])
    with pytest.raises(DataRefused, match="what it learned from the others moved"):
        flown(made)


@pytest.mark.long
def test_honest_features_do_not_move(spec):
    flown(spec(more=MADE))


def test_the_honest_pipeline_does_not_move_and_is_asked_once(spec, tmp_path):
    flown(spec())
    (made,) = tmp_path.glob(".penstock/cache/canary/*/canary.json")
    honest(ROWS + 40).to_csv(tmp_path / "t.csv", index=False)  # other rows, the same code
    flown(load_spec(tmp_path / "t.toml"))
    assert [made] == list(tmp_path.glob(".penstock/cache/canary/*/canary.json"))


def test_test_rows_that_reach_the_training_table_are_caught(spec, monkeypatch):
    from flows import canary

    real = canary.training_table

    def leaky(spec, schema, clean, ledger):
        table, book, labels = real(spec, schema, clean, ledger)
        table.numbers[:, 1] -= pd.read_parquet(clean)["b"].mean()  # centred before the split
        return table, book, labels

    monkeypatch.setattr(canary, "training_table", leaky)
    with pytest.raises(DataRefused, match="with other test rows its numbers differ"):
        flown(spec())


def test_it_can_be_accepted_by_level_alone(spec, monkeypatch):
    monkeypatch.setattr(fit, "Encoder", Scaling)
    found = flown(spec(more='[leaks]\npreprocessing = "warn"\nselection = "warn"\n'))
    assert any("moved" in line for line in found)


LOADING = """
import pandas as pd

def table():
    frame = pd.read_csv("{place}/t.csv")
    {work}
    return frame
"""


@pytest.mark.parametrize(
    ("work", "caught"),
    [
        ('frame["b"] = (frame["b"] - frame["b"].mean()) / frame["b"].std()', "b"),
        ('frame["a"] = frame["a"].fillna(frame["a"].mean())', "a"),
        ('frame["c"] = (frame["y"] == "yes").groupby(frame["c"]).transform("mean")', "c"),
        ('frame["b"] = frame["b"] * 2 + 1', ""),
        ('frame = frame[frame["b"] > -1]', ""),
    ],
)
def test_a_person_s_own_function_is_asked_too(spec, tmp_path, work, caught):
    (tmp_path / "own.py").write_text(LOADING.format(place=tmp_path, work=work), encoding="utf-8")
    made = spec("own.py:table")
    if not caught:
        flown(made)
        return
    with pytest.raises(DataRefused, match=f"makes {caught} of all its rows"):
        flown(made)


def test_a_function_that_cannot_be_followed_is_said_to_be(spec, tmp_path):
    text = "import pandas as pd\ndef table():\n    return pd.DataFrame("
    text += "{'a': range(100), 'b': [k % 7 for k in range(100)], 'y': ['p', 'q'] * 50})"
    (tmp_path / "own.py").write_text(text, encoding="utf-8")
    found = flown(spec("own.py:table"))
    assert any("was not judged: it must read one table" in line for line in found)
