"""TabM-mini: k heads over one network, each the network that it looks like when written out."""

from __future__ import annotations

import pytest
import torch

from models.draw import Draw
from models.networks import MLP, NETWORKS, MLPConfig, Shape, TabMConfig
from models.population import Member, Population, combined, seeded

SHAPE = Shape(numbers=3, indicators=1, levels=(4, 5), outputs=2, bins=6)
MEMBERS = [Member(fold=0, seed=s) for s in range(3)]


def build(embedding="piecewise", shape=SHAPE, **sizes):
    sizes = {"width": 16, "heads": 4, "number_size": 4} | sizes
    config = TabMConfig(embedding=embedding, **sizes)
    return Population(network="tabm", config=config, shape=shape, members=MEMBERS).double()


def inputs(rows=7, members=3):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(members, rows, 7, generator=generator).double()
    values[..., 4:] = values[..., 4:].abs() * 3
    return values, torch.randint(0, 4, (members, rows, 2), generator=generator)


@pytest.mark.parametrize("embedding", ["piecewise", "periodic", "none"])
def test_each_head_is_a_perceptron_of_its_own_scales_and_last_layer(embedding):
    population, (values, codes) = build(embedding), inputs()
    net = population.net
    found = population.heads(values, codes)
    x = net.inputs(values, codes, None)
    for member in range(3):
        for head in range(4):
            h = x[member] * net.scales[member, head]
            for weight, bias in zip(net.hidden[::2], net.hidden[1::2], strict=True):
                h = torch.relu(h @ weight[member] + bias[member])
            h = h @ net.last[member, head] + net.last_bias[member, head]
            torch.testing.assert_close(found[member, head], h)


def test_one_head_of_scale_one_is_the_mlp():
    population, (values, codes) = build(heads=1), inputs()
    mlp = MLP(
        MLPConfig(width=16, number_size=4), SHAPE, Draw([seeded(s) for s in range(3)], width=16)
    ).double()
    state = population.net.state_dict()
    last = {name: state[name][:, 0] for name in ("last", "last_bias")}
    mlp.load_state_dict({k: v for k, v in state.items() if k != "scales"} | last)
    with torch.no_grad():
        population.net.scales.fill_(1.0)
    torch.testing.assert_close(population.heads(values, codes), mlp(values, codes))


def test_the_answer_is_the_mean_probability_or_the_mean_value():
    population, (values, codes) = build(), inputs()
    raw = population.heads(values, codes)
    mean = torch.softmax(raw, dim=3).mean(dim=1)
    torch.testing.assert_close(population.batch(values, codes).softmax(dim=2), mean)
    torch.testing.assert_close(population.batch(values, codes).exp(), mean)
    one = Shape(**{**vars(SHAPE), "outputs": 1})
    population = build(shape=one)
    mean = population.heads(values, codes).mean(dim=1)
    torch.testing.assert_close(population.batch(values, codes), mean)


def test_the_mean_probability_is_finite_where_heads_are_sure_and_disagree():
    raw = torch.tensor([[[[900.0, 0.0]], [[0.0, 900.0]]]])
    torch.testing.assert_close(combined(raw).exp(), torch.tensor([[[0.5, 0.5]]]))


def test_a_heads_scale_starts_as_one_number_per_column():
    net = build().net
    number, embedded, level = net.scales[..., 1], net.scales[..., 8:12], net.scales[..., 16:24]
    assert torch.equal(embedded, number[..., None].expand_as(embedded))
    assert torch.equal(level, level[..., :1].expand_as(level))
    many = build(heads=500).net.scales[..., :4].detach()
    assert float(many.std()) == pytest.approx(0.5, abs=0.03)
    assert float((many**2).mean()) == pytest.approx(1.0, abs=0.05)
    assert len(many.unique()) == many.numel()
    published = build(heads=500, scale_spread=1.0).net.scales[..., :4].detach()
    assert abs(float(published.mean())) < 0.05
    assert float(published.std()) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("embedding", "shape"),
    [
        ("none", SHAPE),
        ("piecewise", Shape(numbers=0, indicators=0, levels=(3,), outputs=1, bins=0)),
    ],
)
def test_scales_start_as_signs_where_numbers_are_not_embedded(embedding, shape):
    scales = build(embedding, shape, heads=500, scale_spread=1.0).net.scales.detach()
    assert set(scales.unique().tolist()) == {-1.0, 1.0}
    assert abs(float(scales[..., 0].mean())) < 0.1


def test_heads_learn_different_things_from_the_same_rows():
    population, (values, codes) = build(), inputs()
    raw = population.heads(values, codes)
    (raw**2).mean(dim=(1, 2, 3)).sum().backward()
    for name in ("scales", "last"):
        gradient = population.net.get_parameter(name).grad
        assert len(gradient[0, :, 0].flatten().unique()) >= 4, name


def test_served_rows_are_counted_with_their_heads():
    config = TabMConfig(width=16, heads=4)
    assert NETWORKS["tabm"].widest(config, SHAPE) == 64
    wide = Shape(numbers=100, indicators=0, levels=(), outputs=2, bins=8)
    assert NETWORKS["tabm"].widest(config, wide) == 100 + 100 * config.number_size
    assert NETWORKS["mlp"].widest(MLPConfig(width=16, embedding="periodic"), wide) == 100 * 48
