"""The emitted networks: every head's raw outputs are torch's, for every family and setting."""

from __future__ import annotations

import math

import numpy as np
import onnxruntime
import pytest
import torch

from models import emit
from models.encode import Columns, Encoder, TrainingTable
from models.export import spoilt
from models.graph import FLOAT, Graph
from models.mlp import ACTIVATIONS
from models.networks import CONFIGS
from models.population import Member, Population

ROWS = 60
GRID = np.array([[0, 3], [2, 5]])  # folds 0 and 2, two members each


def table_of(numbers, categories):
    """A table with gaps, spikes, huge and constant columns, and words of several scripts."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, numbers)) * 10.0 ** rng.integers(-6, 9, numbers)
    if numbers > 2:
        x[:, 1] = 1.7e9 + rng.integers(0, 1440, ROWS) * 60.0  # minutes in epoch seconds
        x[:, 2] = 5.0
    x[rng.random(x.shape) < 0.1] = np.nan
    return TrainingTable(
        numbers=x,
        categories=rng.choice(["서울", "b c", "", "ß", "x"], (ROWS, categories)).astype(object),
        target=rng.normal(size=ROWS),
        weight=np.ones(ROWS),
        fold=np.arange(ROWS) % 3,
        columns=Columns(
            numbers=tuple(f"n{i}" for i in range(numbers)),
            categories=tuple(f"c{i}" for i in range(categories)),
        ),
        classes=0,
    )


def made(network, *, numbers=4, categories=2, bins=8, outputs=3, members=None, **sizes):
    """Six members of random weights, two of each fold, and the rows that they read."""
    table = table_of(numbers, categories)
    encoder = Encoder(bins=bins).fit(table)
    config = CONFIGS[network](**({"width": 16} | sizes))
    every = [Member(fold=f, seed=s) for s in range(2) for f in range(3)]
    population = Population.build(
        encoder, network=network, config=config, outputs=outputs, members=members or every
    )
    with torch.no_grad():
        for name, parameter in population.named_parameters():
            noise = torch.randn(parameter.shape, generator=torch.manual_seed(len(name)))
            parameter.add_(0.2 * noise * (parameter != 0 if members else 1.0))
    feeds = {"numbers": table.numbers} if numbers else {}
    return encoder, population, feeds | ({"categories": table.categories} if categories else {})


def emitted(encoder, population, grid=GRID):
    graph = Graph()
    folds = population.fold[grid[:, 0]].tolist()
    encoded = emit.encoder(graph, encoder, folds)
    raw = emit.EMITTERS[population.network](graph, encoded, encoder, population, grid)
    shape = (*grid.shape, population.net.heads, "N", population.shape.outputs)
    graph.output("raw", raw, FLOAT, shape)
    return graph.model()


def answered(model, feeds):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, feeds)[0]


def wanted(encoder, population, feeds, grid=GRID):
    """Torch's outputs of the grid's members (F, S, H, N, K)."""
    numbers = torch.from_numpy(feeds.get("numbers", np.empty((ROWS, 0))))
    codes = encoder.codes(feeds.get("categories", np.empty((ROWS, 0), object)))
    with torch.inference_mode():
        values, codes = encoder(numbers, codes)
        raw = population.heads(values[population.fold], codes[population.fold])
    return raw.numpy()[grid]


def gap(encoder, population, feeds, grid=GRID):
    """The largest difference in probability, spoilt cells included."""
    model, most = emitted(encoder, population, grid), 0.0
    for rows in (feeds, spoilt(feeds)):
        found, expected = answered(model, rows), wanted(encoder, population, rows, grid)
        assert found.shape == expected.shape
        pair = [torch.from_numpy(raw).softmax(dim=-1).numpy() for raw in (found, expected)]
        most = max(most, float(np.abs(pair[0] - pair[1]).max()))
        scale = max(1.0, float(np.abs(expected).max()))
        assert float(np.abs(found - expected).max()) <= 1e-5 * scale
    return most


@pytest.mark.parametrize("network", list(CONFIGS))
@pytest.mark.parametrize("embedding", ["piecewise", "periodic", "none"])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_the_graph_gives_every_heads_outputs(network, embedding, activation):
    assert gap(*made(network, embedding=embedding, activation=activation)) <= 1e-5


@pytest.mark.parametrize("network", list(CONFIGS))
@pytest.mark.parametrize("embedding", ["piecewise", "periodic", "none"])
@pytest.mark.parametrize(
    "options",
    [
        {"numbers": 0},
        {"categories": 0},
        {"numbers": 1, "categories": 1},
        {"outputs": 1, "depth": 1},
        {"depth": 3, "width": 5},
    ],
    ids=str,
)
def test_tables_and_depths_of_every_kind_agree(network, embedding, options):
    assert gap(*made(network, embedding=embedding, **options)) <= 1e-5


@pytest.mark.parametrize("embedding", ["periodic", "none"])
def test_an_encoder_without_bins_serves_embeddings_that_need_none(embedding):
    assert gap(*made("tabm", embedding=embedding, bins=0)) <= 1e-5


@pytest.mark.parametrize("network", list(CONFIGS))
@pytest.mark.parametrize("embedding", ["piecewise", "periodic", "none"])
def test_members_that_hide_columns_hide_them_in_the_graph(network, embedding):
    columns = made(network)[1].shape.columns
    members = [
        Member(fold=f, seed=s, features=tuple((i + s) % 2 for i in range(columns)))
        for s in range(2)
        for f in range(3)
    ]
    assert gap(*made(network, members=members, embedding=embedding)) <= 1e-5


@pytest.mark.parametrize("network", list(CONFIGS))
def test_only_the_widest_of_the_served_members_is_paid_for(network):
    widths = [5, 16, 9, 3, 16, 7]
    members = [Member(fold=i % 3, seed=i, width=width) for i, width in enumerate(widths)]
    encoder, population, feeds = made(network, members=members, depth=3)
    assert gap(encoder, population, feeds) <= 1e-5
    inner = [(2, 2, 9, 9)] * 2  # of members 0, 3, 2, 5
    found = [tuple(c.dims) for c in emitted(encoder, population).graph.initializer]
    assert [dims for dims in found if dims in {(2, 2, 9, 9), (2, 2, 16, 16)}] == inner


def test_heads_do_not_multiply_the_file():
    few, many = (
        len(
            emitted(
                *made("tabm", numbers=30, categories=0, width=64, heads=h)[:2]
            ).SerializeToString()
        )
        for h in (2, 16)
    )
    assert many < 2 * few


def test_a_member_that_is_not_asked_for_may_be_nan():
    encoder, population, feeds = made("tabm")
    with torch.no_grad():
        population.net.last[1] = math.nan
    assert np.isfinite(answered(emitted(encoder, population), feeds)).all()


def test_a_row_of_several_folds_is_refused():
    encoder, population, _ = made("mlp")
    with pytest.raises(ValueError, match=r"must share a fold, however: \[\[0, 1\]\]"):
        emitted(encoder, population, np.array([[0, 1]]))


def test_an_activation_without_a_translation_is_refused():
    encoder, population, _ = made("mlp")
    object.__setattr__(population.config, "activation", "gelu")
    with pytest.raises(ValueError, match=r"relu, selu, silu or mish, however: 'gelu'"):
        emitted(encoder, population)
