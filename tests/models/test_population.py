"""A population: own rows, own rates, index-selects, and the graph it travels in."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from models.encode import Columns, Encoder, TrainingTable
from models.mlp import ACTIVATIONS
from models.networks import CONFIGS
from models.optimize import PopulationOptimizer, ramp
from models.population import Member, Population, predict

MEMBERS = [Member(fold=f, seed=s) for s in range(2) for f in range(3)]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(90, 2))
    numbers[rng.random((90, 2)) < 0.1] = np.nan
    return TrainingTable(
        numbers=numbers,
        categories=rng.choice(np.array(["a", "나", ""], object), (90, 1)),
        target=rng.normal(size=90),
        weight=np.ones(90),
        fold=np.arange(90) % 3,
        columns=Columns(numbers=("x", "y"), categories=("c",)),
        classes=0,
    )


@pytest.fixture(scope="module")
def encoder(table):
    return Encoder(bins=8).fit(table)


def build(encoder, members=MEMBERS, network="mlp", outputs=1, **sizes):
    config = CONFIGS[network](**({"width": 8, "number_size": 4} | sizes))
    return Population.build(
        encoder, network=network, config=config, outputs=outputs, members=members
    )


def raw(encoder, population, table, *, double=False):
    codes = encoder.codes(table.categories)
    if double:
        values, codes = encoder(torch.from_numpy(table.numbers), codes)
        return population(values.double(), codes).detach()
    return predict(encoder, population, torch.from_numpy(table.numbers), codes).detach()


def test_members_read_through_their_own_folds_encoder(encoder, table):
    out = raw(encoder, build(encoder), table)
    assert out.shape == (6, 90, 1)
    same_start = [replace(MEMBERS[0], fold=f) for f in (0, 1)]
    first = build(encoder, [same_start[0]])
    moved = Population.restore(
        {**first.describe(), "members": [asdict(same_start[1])]},
        {**first.state_dict(), "fold": torch.tensor([1])},
    )
    assert not torch.allclose(raw(encoder, first, table), raw(encoder, moved, table))


@pytest.mark.parametrize("network", list(CONFIGS))
def test_select_copies_the_chosen_members_in_order(encoder, table, network):
    population = build(encoder, network=network)
    chosen = population.select([4, 1])
    assert chosen.members == [MEMBERS[4], MEMBERS[1]]
    whole = raw(encoder, population, table)
    torch.testing.assert_close(raw(encoder, chosen, table), whole[[4, 1]])
    with torch.no_grad():
        for parameter in chosen.parameters():
            parameter.zero_()
    torch.testing.assert_close(raw(encoder, population, table), whole)


@pytest.mark.parametrize("network", list(CONFIGS))
def test_keep_shrinks_in_place(encoder, table, network):
    population = build(encoder, network=network)
    whole = raw(encoder, population, table)
    parameters = list(population.parameters())
    population.keep([0, 5])
    assert all(a is b for a, b in zip(parameters, population.parameters(), strict=True))
    torch.testing.assert_close(raw(encoder, population, table), whole[[0, 5]])


def test_feature_masks_belong_to_the_member(encoder, table):
    masked = replace(MEMBERS[0], features=(0, 1, 1, 1, 1))
    population = build(encoder, [masked, MEMBERS[0]])
    before = raw(encoder, population, table)
    moved = replace(table, numbers=table.numbers + np.array([1.0, 0.0]))
    after = raw(encoder, population, moved)
    torch.testing.assert_close(before[0], after[0])
    assert not torch.allclose(before[1], after[1])


def test_a_mask_goes_with_its_member(encoder, table):
    masked = replace(MEMBERS[0], features=(0, 1, 1, 1, 1))
    population = build(encoder, [masked, MEMBERS[0]])
    whole = raw(encoder, population, table)
    for place in (0, 1):
        alone = population.select([place])
        torch.testing.assert_close(raw(encoder, alone, table), whole[[place]])


@pytest.mark.parametrize("network", list(CONFIGS))
def test_a_population_comes_back_from_json_and_tensors(encoder, table, network):
    members = [*MEMBERS, Member(fold=1, seed=9, width=3, features=(1, 0, 1, 1, 1), trial=4)]
    population = build(encoder, members, network, activation="mish", embedding="none").double()
    described = json.loads(json.dumps(population.describe()))
    tensors = {name: tensor.clone() for name, tensor in population.state_dict().items()}
    again = Population.restore(described, tensors)
    assert (again.members, again.config, again.shape) == (
        population.members, population.config, population.shape,
    )  # fmt: skip
    values, codes = encoder(torch.from_numpy(table.numbers), encoder.codes(table.categories))
    assert torch.equal(again(values.double(), codes), population(values.double(), codes))


@pytest.mark.parametrize("width", [0, 9])
def test_a_width_that_does_not_fit_is_refused(encoder, width):
    with pytest.raises(ValueError, match=f"within 1 and 8, however: .*{width}"):
        build(encoder, [MEMBERS[0], replace(MEMBERS[1], width=width)])


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("network", list(CONFIGS))
def test_a_narrower_member_learns_what_it_learns_at_its_own_width(
    encoder, table, network, activation
):
    narrow = Member(fold=1, seed=4, lr=1e-2, weight_decay=0.1)
    wide = Member(fold=0, seed=7, lr=3e-3, weight_decay=0.01)
    sizes = {"activation": activation, "depth": 3, "outputs": 2}
    filled = build(encoder, [wide, replace(narrow, width=5)], network, **sizes).double()
    own = build(encoder, [narrow], network, width=5, **sizes).double()
    assert filled.own_shapes(1) == {n: tuple(p.shape[1:]) for n, p in own.net.named_parameters()}
    before = own.net.hidden[2].detach().clone()
    for population in (filled, own):
        train(encoder, table, population, steps=20)
    assert (own.net.hidden[2] - before).abs().max() > 0.05
    for name, parameter in own.named_parameters():
        slot = filled.get_parameter(name)[1].detach().clone()
        corner = slot[tuple(slice(size) for size in parameter.shape[1:])]
        torch.testing.assert_close(corner, parameter[0].detach(), rtol=0, atol=1e-10)
        corner.zero_()
        assert not slot.any(), name
    torch.testing.assert_close(
        raw(encoder, filled, table, double=True)[1], raw(encoder, own, table, double=True)[0],
        rtol=0, atol=1e-10,
    )  # fmt: skip


def train(encoder, table, population, *, steps):
    """Learn which targets are positive, every member from its own fold's rows."""
    optimizer = PopulationOptimizer(
        population.named_parameters(),
        lr=[m.lr for m in population.members],
        weight_decay=[m.weight_decay for m in population.members],
        undecayed={f"net.{name}" for name in population.net.undecayed()},
    )
    values, codes = encoder(torch.from_numpy(table.numbers), encoder.codes(table.categories))
    values, codes = values.double()[population.fold], codes[population.fold]
    label = torch.from_numpy(table.target > 0).long().expand(len(population), 1, -1)
    for _ in range(steps):
        optimizer.zero_grad()
        logs = population.heads(values, codes).log_softmax(dim=3)
        label_of_heads = label.expand(logs.shape[:3]).unsqueeze(3)
        (-logs.gather(3, label_of_heads)).mean(dim=(1, 2, 3)).sum().backward()
        optimizer.step()


def test_adamw_gives_torchs_own_result_for_each_members_rates(encoder, table):
    rates = [(1e-2, 0.0), (3e-3, 0.1)]
    ours, theirs = build(encoder, MEMBERS[:2]).double(), build(encoder, MEMBERS[:2]).double()
    undecayed = {f"net.{n}" for n in ours.net.undecayed()}
    lr, decay = zip(*rates, strict=True)
    optimizer = PopulationOptimizer(
        ours.named_parameters(), lr=lr, weight_decay=decay, undecayed=undecayed
    )
    reference = [
        torch.optim.AdamW(
            [
                {"params": [p for n, p in theirs.named_parameters() if n not in undecayed]},
                {
                    "params": [p for n, p in theirs.named_parameters() if n in undecayed],
                    "weight_decay": 0.0,
                },
            ],
            lr=lr,
            weight_decay=decay,
            betas=(0.9, 0.99),
        )
        for lr, decay in rates
    ]
    values, codes = encoder(torch.from_numpy(table.numbers), encoder.codes(table.categories))
    for _ in range(5):
        optimizer.zero_grad()
        theirs.zero_grad()
        for population in (ours, theirs):
            (population(values.double(), codes) ** 2).mean().backward()
        optimizer.step()
        states = []
        for place, adam in enumerate(reference):  # each moves all members; keep only its own
            start = {n: p.detach().clone() for n, p in theirs.named_parameters()}
            adam.step()
            states.append({n: p.detach()[place].clone() for n, p in theirs.named_parameters()})
            with torch.no_grad():
                for n, p in theirs.named_parameters():
                    p.copy_(start[n])
        with torch.no_grad():
            for n, p in theirs.named_parameters():
                p.copy_(torch.stack([state[n] for state in states]))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_the_schedule_warms_up_then_never_rises():
    factors = [ramp(step / 1000) for step in range(1001)]
    assert 0 < factors[0] < 0.1
    assert max(factors) == 1.0
    falling = factors[factors.index(1.0) :]
    assert all(a >= b for a, b in pairwise(falling))
    assert falling[-1] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.long
@pytest.mark.slow  # the exporter; tests/models/test_export.py runs it on every push
def test_encoder_and_population_export_as_one_graph(encoder, table, tmp_path):
    import onnxruntime

    class Graph(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.population = encoder, build(encoder)

        def forward(self, numbers, codes):
            return predict(self.encoder, self.population, numbers, codes)

    graph = Graph().eval()
    numbers, codes = torch.from_numpy(table.numbers), encoder.codes(table.categories)
    rows = {0: torch.export.Dim("rows")}
    torch.onnx.export(
        graph,
        (numbers[:5], codes[:5]),
        tmp_path / "graph.onnx",
        dynamo=True,
        dynamic_shapes=(rows, rows),
        input_names=["numbers", "codes"],
        verbose=False,
    )
    session = onnxruntime.InferenceSession(tmp_path / "graph.onnx")
    feed = {"numbers": table.numbers, "codes": codes.numpy()}
    (found,) = session.run(None, feed)
    np.testing.assert_allclose(found, graph(numbers, codes).detach().numpy(), atol=1e-5)
