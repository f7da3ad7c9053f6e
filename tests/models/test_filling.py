"""The encoder's imputers: fold by fold, from train rows alone, and the same in the graph."""

import numpy as np
import pytest
import torch

from models.encode import Columns, Encoder, TrainingTable
from models.export import Model, Networks, difference, graph_of, spoilt
from models.filling import Filling, hints_of, known_of
from models.networks import CONFIGS
from models.objective import Target
from models.population import Member, Population

OPTIONS = {"mice": {}, "masked": {"steps": 30, "width": 24}, "gain": {"steps": 30}}


def given_table(*, rows=120, numbers=4, categories=2, folds=3, seed=0):
    """A table with gaps, minutes in epoch seconds and a constant column."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 1)) + 0.3 * rng.normal(size=(rows, numbers))
    x = x * 10.0 ** rng.integers(-6, 9, numbers)
    x[:, 1] = 1.7e9 + np.round(x[:, 0] / np.abs(x[:, 0]).max() * 1000) * 60.0
    if numbers > 3:
        x[:, 2] = 5.0
    x[rng.random(x.shape) < 0.15] = np.nan
    c = rng.choice(["서울", "b c", "", "x"], size=(rows, categories)).astype(object)
    fold = np.arange(rows) % folds if folds > 1 else np.where(np.arange(rows) % 4 == 0, 0, -1)
    return TrainingTable(
        numbers=x, categories=c, target=rng.integers(0, 2, rows), weight=np.ones(rows),
        fold=fold.astype(np.int64), classes=2,
        columns=Columns(
            numbers=tuple(f"n{i}" for i in range(numbers)),
            categories=tuple(f"c{i}" for i in range(categories)),
        ),
    )  # fmt: skip


def encoder_of(table, kind, bins=8):
    """An encoder whose imputer learned as `Encoder.fit` lets it, but in fewer steps."""
    encoder = Encoder(bins=bins).fit(table)
    trains = [table.fold != f for f in range(int(table.fold.max()) + 1)]
    own = encoder.own(encoder.codes(table.categories)).numpy()
    encoder.filling = Filling(kind).fit(
        table.numbers, own, trains, size=sum(encoder.sizes), seed=0, **OPTIONS[kind]
    )
    encoder.filling_ = {"kind": kind, **encoder.filling.facts}
    return encoder


def model_of(table, encoder):
    folds = int(table.fold.max()) + 1
    population = Population.build(
        encoder, network="mlp", config=CONFIGS["mlp"](width=16), outputs=2,
        members=[Member(fold=f, seed=0) for f in range(folds)],
    ).eval()  # fmt: skip
    with torch.no_grad():
        for parameter in population.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.manual_seed(1)))
    part = Networks(population=population, shares=np.arange(1, folds + 1) / sum(range(folds + 1)))
    target = Target.fit(table, folds=folds, log_target=False)
    return Model(encoder=encoder, networks=(part,), target=target, classes=2)


def feeds_of(table):
    blocks = {"numbers": table.numbers, "categories": table.categories}
    return {name: block for name, block in blocks.items() if block.shape[1]}


@pytest.mark.parametrize("kind", list(OPTIONS))
@pytest.mark.parametrize("shape", [{}, {"categories": 0}, {"folds": 1}, {"numbers": 2}])
def test_the_graph_fills_as_torch_does(kind, shape):
    table = given_table(**shape)
    model = model_of(table, encoder_of(table, kind))
    graph, feeds = graph_of(model).SerializeToString(), feeds_of(table)
    assert difference(model, graph, feeds) <= 1e-5
    assert difference(model, graph, spoilt(feeds)) <= 1e-5


@pytest.mark.parametrize("kind", list(OPTIONS))
def test_rows_that_lack_nothing_and_rows_that_lack_all_pass_through_the_graph(kind):
    table = given_table()
    model = model_of(table, encoder_of(table, kind))
    graph, feeds = graph_of(model).SerializeToString(), feeds_of(table)
    whole = ~np.isnan(table.numbers).any(axis=1)
    for rows in (whole, whole & (whole.cumsum() == 1)):
        some = {name: block[rows] for name, block in feeds.items()}
        assert difference(model, graph, some) <= 1e-5
    bare = {**feeds, "numbers": np.full(table.numbers.shape, np.nan)}
    assert difference(model, graph, bare) <= 1e-5


def test_folds_that_no_member_answers_for_change_nothing():
    table = given_table()
    model = model_of(table, encoder_of(table, "mice"))
    model.networks[0].shares[1] = 0.0
    model.networks[0].shares[:] /= model.networks[0].shares.sum()
    assert difference(model, graph_of(model).SerializeToString(), feeds_of(table)) <= 1e-5


@pytest.mark.parametrize("kind", list(OPTIONS))
def test_a_fold_learns_nothing_from_the_rows_it_judges(kind):
    table = given_table(folds=2)
    before = encoder_of(table, kind)
    table.numbers[table.fold == 0] = np.where(
        np.isnan(table.numbers), np.nan, table.numbers * 3 + 1
    )[table.fold == 0]
    table.categories[table.fold == 0] = "x"
    after = encoder_of(table, kind)
    ours, theirs = (dict(each.filling.named_buffers()) for each in (before, after))
    assert ours.keys() == theirs.keys()
    for name in sorted(set(ours) - {"levels"}):
        assert torch.equal(ours[name][0], theirs[name][0]), name
    assert not torch.equal(ours["center"][1], theirs["center"][1])


def test_an_encoder_with_an_imputer_is_restored():
    table = given_table()
    encoder = encoder_of(table, "masked")
    twin = Encoder.restore(encoder.describe(), encoder.state_dict())
    given = torch.from_numpy(table.numbers), encoder.codes(table.categories)
    for ours, theirs in zip(encoder(*given), twin(*given), strict=True):
        assert torch.equal(ours, theirs)
    assert twin.filling_["kind"] == "masked"


def test_the_imputer_sees_what_categories_say():
    rng = np.random.default_rng(0)
    level = rng.integers(0, 2, 300)
    x = np.where(rng.random(300) < 0.3, np.nan, 10.0 * level + rng.normal(size=300))[:, None]
    table = TrainingTable(
        numbers=x, categories=np.array(["a", "b"], dtype=object)[level][:, None],
        target=np.zeros(300), weight=np.ones(300), fold=np.arange(300) % 2, classes=0,
        columns=Columns(numbers=("x",), categories=("c",)),
    )  # fmt: skip
    encoder = Encoder(bins=0, impute="mice").fit(table)
    codes = encoder.codes(np.array([["a"], ["b"], ["never seen"]], dtype=object))
    filled = encoder.filling(torch.full((3, 1), np.nan, dtype=torch.float64), encoder.own(codes))
    assert filled[0, :2, 0].tolist() == pytest.approx([0.0, 10.0], abs=1.0)
    assert 2.0 < float(filled[0, 2, 0]) < 8.0
    model = Model(encoder=encoder, target=Target.fit(table, folds=2, log_target=False), classes=0)
    assert model.encoder.filling_["kind"] == "mice"


def test_where_no_train_row_lacks_a_number_the_median_serves():
    table = given_table()
    table.numbers[np.isnan(table.numbers)] = 1.0
    encoder = Encoder(impute="masked").fit(table)
    assert encoder.filling is None
    assert encoder.filling_["why"] == "no train row lacks a number"


def test_numbers_stay_exact_until_they_are_scaled():
    minutes = 1.7e9 + 60.0 * np.arange(1440)
    table = given_table(rows=1440, categories=0)
    table.numbers[:, 1] = minutes
    encoder = encoder_of(table, "mice", bins=0)
    values, _ = encoder(torch.from_numpy(table.numbers), encoder.codes(table.categories))
    assert len(np.unique(values[0, :, 1].numpy())) == 1440


def test_only_frequent_levels_are_told():
    codes = np.array([[0]] * 30 + [[1]] * 25 + [[2]] * 5)
    assert hints_of(codes).tolist() == [0, 1]
    assert known_of(codes[[0, 30, 59]], np.array([0, 1])).tolist() == [[1, 0], [0, 1], [0, 0]]
    assert hints_of(np.zeros((50, 1), dtype=int)).tolist() == []  # a constant says nothing


@pytest.mark.parametrize(
    "asked",
    [
        {"scale": "standard", "clip": 0.05},
        {"scale": "minmax", "impute": "mice", "clip": 0.01},
        {"scale": "quantile"},
        {"levels": 1, "rare": 1, "buckets": 2},
        {"drop_correlated": 0.5, "keep": 3},
        {"drop_constant": 0.9, "keep": 2, "keep_by": "importance"},
        {"reduce": {"kind": "pca", "size": 2, "join": False}},
        {"reduce": {"kind": "pca", "size": 9, "join": True}, "scale": "quantile"},
        {"reduce": {"kind": "autoencoder", "size": 2, "join": False}, "impute": "mice"},
        {"reduce": {"kind": "autoencoder", "size": 2, "join": True}, "scale": "quantile"},
    ],
)
def test_the_graph_scales_holds_hashes_drops_and_reduces_as_torch_does(asked):
    table = given_table()
    model = model_of(table, Encoder(bins=8, **asked).fit(table))
    graph, feeds = graph_of(model).SerializeToString(), feeds_of(table)
    assert difference(model, graph, feeds) <= 1e-5
    assert difference(model, graph, spoilt(feeds)) <= 1e-5


@pytest.mark.long
def test_auto_tries_all_that_can_be_served_and_says_what_they_came_to():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    x[:, 2] = x[:, 0] - x[:, 1]
    y = x[:, 2] + 0.1 * rng.normal(size=300)
    x[rng.random(x.shape) < 0.2] = np.nan
    table = TrainingTable(
        numbers=x, categories=np.empty((300, 0), dtype=object), target=y, weight=np.ones(300),
        fold=np.where(np.arange(300) % 3 == 0, 0, -1), classes=0,
        columns=Columns(numbers=("a", "b", "c"), categories=()),
    )  # fmt: skip
    encoder = Encoder(bins=4, impute="auto").fit(table)
    tried = {row["imputer"]: row for row in encoder.filling_["auto"]["tried"]}
    assert list(tried) == ["median", "mice", "masked", "gain"]
    assert tried["mice"]["error"] < 0.9 * tried["median"]["error"]
    assert min(row["worse"] for row in tried.values()) == 0.0
    assert encoder.filling_["kind"] in tried
