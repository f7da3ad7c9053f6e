"""Products and quotients: found where they say something, held where rows go further, and served."""

import numpy as np
import pytest
import torch

from models import crossing
from models.crossing import Crossing, crossed, found
from models.encode import Columns, Encoder, TrainingTable
from models.export import Model, difference, graph_of, spoilt
from models.export import Networks as Part
from models.networks import CONFIGS
from models.objective import Target
from models.population import Member, Population


def given(rows=2400, *, classes=0, kind="product"):
    """The target is a product or a quotient of the second and third of five numbers, with noise."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.3, 3.0, (rows, 5))
    core = x[:, 1] * x[:, 2] if kind == "product" else x[:, 1] / x[:, 2]
    y = core + 0.2 * rng.normal(size=rows)
    if classes:
        y = (y > np.median(y)).astype(np.int64)
    c = rng.choice(np.array(["a", "b", ""], dtype=object), (rows, 1))
    return TrainingTable(
        numbers=x, categories=c, target=y, weight=np.ones(rows), fold=np.arange(rows) % 3,
        columns=Columns(numbers=tuple("abcde"), categories=("level",)), classes=classes,
    )  # fmt: skip


@pytest.mark.parametrize("classes", [0, 2])
@pytest.mark.parametrize("kind", ["product", "quotient"])
def test_what_no_single_column_says_is_found_and_named(classes, kind):
    encoder = Encoder(bins=4, interactions=2).fit(given(classes=classes, kind=kind))
    for fold in encoder.crossing_:
        assert set(fold[0]["name"].split()) >= {"b", "c"}
        assert fold[0]["explains"] > 3 * fold[0]["error"]


def test_where_columns_add_up_nothing_is_crossed():
    table = given()
    table.target[:] = table.numbers[:, 0] - 2 * table.numbers[:, 3]
    table.target[:] += 0.3 * np.random.default_rng(1).normal(size=len(table.target))
    encoder = Encoder(bins=4, interactions=3).fit(table)
    assert encoder.crossing is None
    assert encoder.crossing_ == [[], [], []]


def test_a_second_cross_says_something_else():
    table = given()
    table.target[:] += 2 * table.numbers[:, 0] * table.numbers[:, 4]
    encoder = Encoder(bins=4, interactions=2).fit(table)
    for fold in encoder.crossing_:
        assert {frozenset(each["name"].split()[::2]) for each in fold} == {
            frozenset("bc"),
            frozenset("ae"),
        }


def test_a_number_that_changes_sign_does_not_divide():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 2))
    y = x[:, 0] * x[:, 1]
    pairs = found(x, np.zeros((2000, 0), int), y, classes=0, most=1, seed=0)
    assert [pair for pair, _, _ in pairs] == [(0, 1, False)]


def test_few_rows_are_not_asked():
    x = np.ones((crossing.FEWEST - 1, 2))
    assert found(x, np.zeros((len(x), 0), int), x[:, 0], classes=0, most=1, seed=0) == []


def test_rows_far_out_stay_finite_and_within_three_units():
    sample = np.random.default_rng(0).uniform(1, 2, (100, 2))
    made = Crossing().fit([sample], [[(0, 1, False), (0, 1, True)]])
    asked = torch.tensor([[np.inf, 0.0], [-1e308, 1e308], [1.0, np.inf]], dtype=torch.float64)
    out = made(asked[None])
    assert torch.isfinite(out).all()
    assert out.abs().max() < 3


def test_a_product_that_no_float_holds_is_nothing():
    assert crossed(np.full((2, 2), 1e200), (0, 1, False)).tolist() == [0.0, 0.0]


@pytest.mark.long
def test_a_fold_learns_nothing_from_the_rows_it_judges():
    table = given()
    before = Encoder(bins=4, interactions=2).fit(table)
    judged = table.fold == 0
    table.numbers[judged] *= 1000
    table.target[judged] = table.numbers[judged, 0] * table.numbers[judged, 4]
    after = Encoder(bins=4, interactions=2).fit(table)
    assert before.crossing_[0] == after.crossing_[0]
    for name, tensor in before.crossing.named_buffers():
        most = min(tensor.shape[1], getattr(after.crossing, name).shape[1])
        assert torch.equal(tensor[0, :most], getattr(after.crossing, name)[0, :most]), name


@pytest.mark.parametrize(
    "more",
    [{}, {"scale": "quantile", "clip": 0.01}, {"reduce": {"kind": "pca", "size": 3, "join": True}}],
)
def test_the_graph_crosses_as_torch_does_and_the_encoder_is_restored(more):
    table = given(classes=2, kind="quotient")
    table.numbers[::9, 1] = np.nan
    encoder = Encoder(bins=4, interactions=3, **more).fit(table)
    assert encoder.entering == encoder.low.shape[1]
    assert encoder.crossing is not None
    population = Population.build(
        encoder, network="mlp", config=CONFIGS["mlp"](width=8), outputs=2,
        members=[Member(fold=f, seed=0) for f in range(3)],
    ).eval()  # fmt: skip
    part = Part(population=population, shares=np.full(3, 1 / 3))
    target = Target.fit(table, folds=3, log_target=False)
    model = Model(encoder=encoder, networks=(part,), target=target, classes=2)
    feeds = {"numbers": table.numbers[:200], "categories": table.categories[:200]}
    graph = graph_of(model).SerializeToString()
    assert difference(model, graph, feeds) <= 1e-5
    assert difference(model, graph, spoilt(feeds)) <= 1e-5
    twin = Encoder.restore(encoder.describe(), encoder.state_dict())
    rows = torch.from_numpy(table.numbers), encoder.codes(table.categories)
    for ours, theirs in zip(encoder(*rows), twin(*rows), strict=True):
        assert torch.equal(ours, theirs)


def test_a_number_that_is_ever_zero_divides_nothing():
    rng = np.random.default_rng(0)
    numbers = rng.uniform(0.1, 2.0, (7_000, 2))
    target = numbers[:, 0] / numbers[:, 1]
    numbers[6_500] = 0.0  # beyond the rows that are looked at closely
    codes = np.empty((7_000, 0), dtype=np.int64)
    pairs = [p for p, _, _ in found(numbers, codes, target, classes=0, most=2, seed=0)]
    assert pairs
    assert (0, 1, True) not in pairs
