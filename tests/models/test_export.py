"""One graph: it answers as torch does, from typed cells of every kind, and is the same each time."""

import math
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from models.calibrate import Calibration
from models.decide import Decision
from models.encode import Columns, Encoder, TrainingTable
from models.export import (
    Model,
    Networks,
    answers,
    difference,
    frame_of,
    graph_of,
    open_session,
    run,
    spoilt,
)
from models.networks import CONFIGS
from models.objective import Target
from models.population import Member, Population
from models.speed import chunk_of, estimated_seconds, seconds_of


def given_table(*, numbers=4, categories=2, classes=2, folds=3):
    """A table with gaps, spikes, huge and constant columns."""
    rng = np.random.default_rng(0)
    rows = 60
    x = rng.normal(size=(rows, numbers)) * 10.0 ** rng.integers(-6, 9, numbers)
    if numbers > 2:
        x[:, 1] = 1.7e9 + rng.integers(0, 1440, rows) * 60.0  # minutes in epoch seconds
        x[:, 2] = 5.0
    x[rng.random(x.shape) < 0.1] = np.nan
    c = rng.choice(["서울", "b c", "", "ß", "x"], size=(rows, categories)).astype(object)
    target = rng.integers(0, classes, rows) if classes else np.exp(rng.normal(size=rows) + 3)
    fold = np.arange(rows) % folds if folds > 1 else np.where(np.arange(rows) % 4 == 0, 0, -1)
    return TrainingTable(
        numbers=x, categories=c, target=target, weight=np.ones(rows),
        fold=fold.astype(np.int64), classes=classes,
        columns=Columns(
            numbers=tuple(f"n{i}" for i in range(numbers)),
            categories=tuple(f"c{i}" for i in range(categories)),
        ),
    )  # fmt: skip


def feeds_of(table):
    blocks = {"numbers": table.numbers, "categories": table.categories}
    return {name: block for name, block in blocks.items() if block.shape[1]}


def networks(encoder, *, network="mlp", outputs=2, folds=3, seeds=2, features=None, **sizes):
    """A population with random weights; shares 1, 2, 3... of their sum."""
    population = Population.build(
        encoder,
        network=network,
        config=CONFIGS[network](**({"width": 16} | sizes)),
        outputs=outputs,
        members=[
            Member(fold=f, seed=s, features=features) for s in range(seeds) for f in range(folds)
        ],
    ).eval()
    with torch.no_grad():
        for parameter in population.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.manual_seed(1)))
    shares = np.arange(1, folds * seeds + 1) / sum(range(1, folds * seeds + 1))
    return Networks(population=population, shares=shares)


def made(
    *,
    numbers=4,
    categories=2,
    classes=2,
    folds=3,
    embedding="piecewise",
    log=False,
    **options,
):
    """A model of one population on a table of its own, and the table's rows."""
    table = given_table(numbers=numbers, categories=categories, classes=classes, folds=folds)
    encoder = Encoder(bins=0 if embedding == "periodic" else 8).fit(table)
    part = networks(encoder, outputs=classes or 1, folds=folds, embedding=embedding, **options)
    target = Target.fit(table, folds=folds, log_target=log)
    model = Model(encoder=encoder, networks=(part,), target=target, classes=classes)
    return model, feeds_of(table)


def with_shares(model, shares):
    part = replace(model.networks[0], shares=np.asarray(shares, dtype=np.float64))
    return replace(model, networks=(part,))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"folds": 1, "seeds": 1},
        {"numbers": 0},
        {"categories": 0},
        {"numbers": 1, "categories": 1, "classes": 5},
        {"classes": 0},
        {"classes": 0, "log": True},
        {"embedding": "periodic"},
        {"embedding": "periodic", "numbers": 0},
        {"depth": 1},
        {"depth": 3},
        {"network": "tabm", "heads": 3},
        {"network": "tabm", "heads": 3, "classes": 0, "log": True},
    ],
)
def test_the_graph_answers_as_torch_does(options):
    model, feeds = made(**options)
    graph = graph_of(model).SerializeToString()
    assert difference(model, graph, feeds) <= 1e-5
    assert difference(model, graph, spoilt(feeds)) <= 1e-5


def test_members_that_hide_columns_hide_them_in_the_graph():
    model, feeds = made()
    width = model.networks[0].population.shape.columns
    model, feeds = made(features=tuple(i % 2 for i in range(width)))
    assert difference(model, graph_of(model).SerializeToString(), feeds) <= 1e-5


def mixed(*, classes=2, log=False, folds=3):
    """A model of an mlp and a tabm on one encoding, with half of the weight each."""
    table = given_table(classes=classes, folds=folds)
    encoder = Encoder(bins=8).fit(table)
    families = {"mlp": {"depth": 1}, "tabm": {"heads": 3, "embedding": "none", "width": 8}}
    built = [
        networks(encoder, network=name, outputs=classes or 1, folds=folds, **sizes)
        for name, sizes in families.items()
    ]
    parts = tuple(replace(part, shares=part.shares / 2) for part in built)
    target = Target.fit(table, folds=folds, log_target=log)
    return Model(encoder=encoder, networks=parts, target=target, classes=classes), feeds_of(table)


@pytest.mark.parametrize(
    "options", [{}, {"classes": 4}, {"classes": 0}, {"classes": 0, "log": True}, {"folds": 1}]
)
def test_networks_of_two_families_answer_together(options):
    model, feeds = mixed(**options)
    graph = graph_of(model).SerializeToString()
    assert difference(model, graph, feeds) <= 1e-5
    assert difference(model, graph, spoilt(feeds)) <= 1e-5
    name = "probabilities" if model.classes else "value"
    alone = [answers(replace(model, networks=(part,)), feeds)[name] for part in model.networks]
    if not model.target.log:
        np.testing.assert_allclose(answers(model, feeds)[name], np.mean(alone, axis=0))
    assert np.abs(alone[0] - alone[1]).max() > 1e-3


def test_networks_that_read_the_same_folds_share_the_encoder():
    model, _ = mixed()
    counts = [
        sum(node.op_type == "LabelEncoder" for node in graph_of(each).graph.node)
        for each in (model, replace(model, networks=model.networks[:1]))
    ]
    assert counts == [2, 2]


def test_folds_of_unequal_numbers_of_members_are_weighed_right():
    model, feeds = made()
    # Fold 1 has no member, fold 2 one.
    model = with_shares(model, [0.5, 0.0, 0.2, 0.3, 0.0, 0.0])
    assert difference(model, graph_of(model).SerializeToString(), feeds) <= 1e-5


def test_a_member_that_weighs_nothing_may_be_nan():
    model, feeds = made()
    model.networks[0].shares[0] = 0
    with torch.no_grad():
        model.networks[0].population.net.last[0] = math.nan
    assert difference(model, graph_of(model).SerializeToString(), feeds) <= 1e-5


@pytest.mark.parametrize("classes", [2, 3])
def test_calibration_and_costs_are_inside_the_graph(classes):
    model, feeds = made(classes=classes)
    costs = 1 - np.eye(classes)
    costs[:-1, -1] = 50  # to answer the last class wrongly is dear
    model = replace(
        model,
        calibration=Calibration(kind="bias", scale=0.4, bias=np.linspace(-1, 1, classes)),
        decision=Decision(kind="bayes", matrix=costs),
    )
    graph = graph_of(model).SerializeToString()
    found = run(open_session(graph), feeds, chunk=7)
    wanted = answers(model, feeds)
    np.testing.assert_allclose(found["probabilities"], wanted["probabilities"], atol=1e-5)
    np.testing.assert_array_equal(found["label"], wanted["label"])
    plain = answers(replace(model, decision=None), feeds)["label"]
    assert (wanted["label"] != plain).any()


def test_minutes_in_epoch_seconds_are_told_apart():
    model, feeds = made(categories=0)
    rows = np.repeat(feeds["numbers"][:1], 1440, axis=0)
    rows[:, 1] = 1.7e9 + np.arange(1440) * 60
    found = run(open_session(graph_of(model).SerializeToString()), {"numbers": rows}, chunk=500)
    assert len(np.unique(found["probabilities"][:, 0])) > 1300


def test_the_same_model_gives_the_same_bytes_without_any_path():
    first, second = (graph_of(made()[0]).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second
    assert b"/work" not in first
    assert b"site-packages" not in first
    assert b".py" not in first


def test_equal_constants_are_stored_once():
    graph = graph_of(made()[0]).graph
    arrays = [onnx.numpy_helper.to_array(each) for each in graph.initializer]
    keys = {(str(a.dtype), a.shape, a.tobytes()) for a in arrays}
    assert len(keys) == len(arrays)


def test_inputs_and_outputs_are_those_agreed_on():
    graph = graph_of(made(classes=3)[0]).graph
    kinds = {each.name: each.type.tensor_type.elem_type for each in graph.input}
    assert kinds == {"numbers": onnx.TensorProto.DOUBLE, "categories": onnx.TensorProto.STRING}
    assert [each.name for each in graph.output] == ["probabilities", "label"]
    graph = graph_of(made(classes=0, numbers=0)[0]).graph
    assert [each.name for each in graph.input] == ["categories"]
    assert [each.name for each in graph.output] == ["value"]


def test_a_bigger_model_is_estimated_slower_and_takes_smaller_chunks():
    small, big = made(folds=1, seeds=1)[0], made(folds=3, seeds=4)[0]
    assert estimated_seconds(small) < estimated_seconds(big)
    assert chunk_of(small) >= chunk_of(big) >= 64


def test_seconds_are_measured_on_tiled_rows():
    model, feeds = made(folds=1, seeds=1)
    graph = graph_of(model).SerializeToString()
    assert 0 < seconds_of(graph, feeds, chunk=chunk_of(model), most=1e-3) < 60


def test_answers_are_named_by_the_schema():
    outputs = {"probabilities": np.array([[0.25, 0.75]]), "label": np.array([1])}
    frame = frame_of(outputs, {"classes": ["0", "1"], "class_kind": "integer"})
    assert frame.to_dict("records") == [
        {"prediction": 1, "probability_0": 0.25, "probability_1": 0.75}
    ]
    frame = frame_of(outputs, {"classes": ["False", "True"], "class_kind": "boolean"})
    assert frame["prediction"].tolist() == [True]
    assert frame_of({"value": np.array([2.5])}, {})["prediction"].tolist() == [2.5]
