"""The batched networks: each member stands alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.networks import CONFIGS, NETWORKS, MLPConfig, Shape
from models.population import seeded

SHAPE = Shape(numbers=3, indicators=1, levels=(4, 5), outputs=2, bins=6)


def build(seeds, embedding="piecewise", shape=SHAPE):
    config = MLPConfig(width=16, depth=2, embedding=embedding, number_size=4, frequencies=5)
    return NETWORKS["mlp"](config, shape, [seeded(s) for s in seeds])


def inputs(members, rows=7, embedding="piecewise"):
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(members, rows, 4, generator=generator)]
    if embedding == "piecewise":
        parts.append(torch.rand(members, rows, 3, generator=generator) * 6)
    codes = torch.randint(0, 4, (members, rows, 2), generator=generator)
    return torch.cat(parts, dim=2), codes


@pytest.mark.parametrize("embedding", ["piecewise", "periodic"])
def test_a_member_gives_what_it_gives_alone(embedding):
    values, codes = inputs(3, embedding=embedding)
    together = build([1, 2, 3], embedding)(values, codes)
    alone = build([2], embedding)(values[1:2], codes[1:2])
    assert together.shape == (3, 7, 2)
    torch.testing.assert_close(together[1:2], alone)


def test_a_members_gradient_does_not_reach_its_neighbours():
    net = build([1, 2, 3])
    net(*inputs(3))[1].sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad[[0, 2]].abs().sum() == 0, name


def test_the_piecewise_curve_is_the_dense_encoding_times_its_bins():
    net = build([1])
    position = torch.tensor([0.0, 0.3, 1.0, 2.75, 6.0])
    values = torch.zeros(1, 5, 7)
    values[0, :, 4] = position
    found = net._pieces(values)[0, :, :4]
    dense = (position[:, None] - torch.arange(6)).clamp(0, 1)
    expected = net.bins[0, 0, 0] + dense @ net.bins[0, 0, 1:]
    torch.testing.assert_close(found, expected)


def test_a_masked_column_has_no_influence():
    net = build([1])
    values, codes = inputs(1)
    mask = torch.ones(1, 6)
    mask[0, [0, 5]] = 0  # the first number and the second category
    before = net(values, codes, features=mask)
    values[..., [0, 4]] = 2.0
    codes[..., 1] = 3
    torch.testing.assert_close(net(values, codes, features=mask), before)
    values[..., 1] += 1
    assert not torch.allclose(net(values, codes, features=mask), before)


@pytest.mark.parametrize(
    "shape",
    [
        Shape(numbers=0, indicators=0, levels=(3,), outputs=1, bins=0),
        Shape(numbers=2, indicators=0, levels=(), outputs=1, bins=4),
    ],
)
def test_tables_of_one_kind_of_column_work(shape):
    net = build([1, 2], shape=shape)
    values = torch.zeros(2, 5, 2 * shape.numbers)
    codes = torch.zeros(2, 5, len(shape.levels), dtype=torch.int64)
    assert net(values, codes).shape == (2, 5, 1)


def test_weight_decay_leaves_biases_alone():
    assert build([1]).undecayed() == {"hidden.1", "hidden.3", "last_bias"}


def test_every_family_has_a_config():
    assert CONFIGS.keys() == NETWORKS.keys()


def test_generators_are_keyed_by_every_number_and_their_order():
    keys = [(1,), (2,), (1, 0), (0, 1), (-1,), (2**40,)]
    drawn = [float(torch.rand(1, generator=seeded(*key))) for key in keys]
    assert len(np.unique(drawn)) == len(keys)
