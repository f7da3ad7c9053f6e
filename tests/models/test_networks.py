"""The batched networks: each member stands alone, in every family."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from models.draw import Draw
from models.mish import mish
from models.mlp import ACTIVATIONS
from models.networks import CONFIGS, NETWORKS, Shape
from models.population import seeded

SHAPE = Shape(numbers=3, indicators=1, levels=(4, 5), outputs=2, bins=6)
FAMILIES = ["mlp", "tabm"]
EMBEDDINGS = ["piecewise", "periodic", "none"]


def build(seeds, network="mlp", shape=SHAPE, widths=None, **sizes):
    sizes = {"width": 16, "depth": 2, "number_size": 4, "frequencies": 5} | sizes
    config = CONFIGS[network](**sizes)
    draw = Draw([seeded(s) for s in seeds], width=config.width, widths=widths)
    return NETWORKS[network](config, shape, draw)


def inputs(members, rows=7):
    """Values with positions among bins, which only piecewise embeddings read."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(members, rows, 4, generator=generator)
    position = torch.rand(members, rows, 3, generator=generator) * 6
    codes = torch.randint(0, 4, (members, rows, 2), generator=generator)
    return torch.cat([values, position], dim=2), codes


@pytest.mark.parametrize("network", FAMILIES)
@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_a_member_gives_what_it_gives_alone(network, embedding):
    values, codes = inputs(3)
    together = build([1, 2, 3], network, embedding=embedding)(values, codes)
    alone = build([2], network, embedding=embedding)(values[1:2], codes[1:2])
    assert together.shape == (3, 1 if network == "mlp" else 16, 7, 2)
    torch.testing.assert_close(together[1:2], alone)


@pytest.mark.parametrize("network", FAMILIES)
def test_a_members_gradient_does_not_reach_its_neighbours(network):
    net = build([1, 2, 3], network)
    net(*inputs(3))[1].sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad[[0, 2]].abs().sum() == 0, name
        assert parameter.grad[1].abs().sum() > 0, name


def test_the_piecewise_curve_is_the_dense_encoding_times_its_bins():
    net = build([1])
    position = torch.tensor([0.0, 0.3, 1.0, 2.75, 6.0])
    values = torch.zeros(1, 5, 7)
    values[0, :, 4] = position
    found = net._pieces(values)[0, :, :4]
    dense = (position[:, None] - torch.arange(6)).clamp(0, 1)
    expected = net.bins[0, 0, 0] + dense @ net.bins[0, 0, 1:]
    torch.testing.assert_close(found, expected)


def test_without_an_embedding_numbers_enter_as_they_are():
    values, codes = inputs(1)
    net = build([1], embedding="none")
    torch.testing.assert_close(net.inputs(values, codes, None)[..., :4], values[..., :4])
    assert net.hidden[0].shape[1] == 3 + 1 + 2 * 8
    assert not {"bins", "waves"} & set(dict(net.named_parameters()))


@pytest.mark.parametrize("network", FAMILIES)
@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_a_masked_column_has_no_influence(network, embedding):
    net = build([1], network, embedding=embedding)
    values, codes = inputs(1)
    mask = torch.ones(1, 6)
    mask[0, [0, 5]] = 0  # the first number and the second category
    before = net(values, codes, features=mask)
    values[..., [0, 4]] = 2.0
    codes[..., 1] = 3
    torch.testing.assert_close(net(values, codes, features=mask), before)
    values[..., 1] += 1
    assert not torch.allclose(net(values, codes, features=mask), before)


@pytest.mark.parametrize("network", FAMILIES)
@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize(
    "shape",
    [
        Shape(numbers=0, indicators=0, levels=(3,), outputs=1, bins=0),
        Shape(numbers=2, indicators=0, levels=(), outputs=1, bins=4),
    ],
)
def test_tables_of_one_kind_of_column_work(network, embedding, shape):
    net = build([1, 2], network, shape=shape, embedding=embedding)
    values = torch.zeros(2, 5, 2 * shape.numbers)
    codes = torch.zeros(2, 5, len(shape.levels), dtype=torch.int64)
    assert net(values, codes).shape == (2, net.heads, 5, 1)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_an_activation_leaves_zero_and_the_size_of_a_normal_unit_alone(activation):
    function, gain = ACTIVATIONS[activation]
    unit = torch.randn(1_000_000, generator=torch.Generator().manual_seed(0))
    assert function(torch.zeros(1)).item() == 0.0
    assert float((function(unit) ** 2).mean()) * gain == pytest.approx(1.0, rel=0.01)


def test_mish_and_its_derivative_are_torchs_however_far_out():
    here = torch.linspace(-120, 120, 9601, dtype=torch.float64).requires_grad_()
    there = here.detach().clone().requires_grad_()
    for function, x in ((mish, here), (functional.mish, there)):
        function(x).mul(torch.linspace(1, 2, 9601)).sum().backward()
    torch.testing.assert_close(mish(here), functional.mish(there), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(here.grad, there.grad, rtol=1e-12, atol=1e-12)
    small = there.detach().float()
    torch.testing.assert_close(mish(small), functional.mish(small), rtol=1e-5, atol=1e-6)


def test_the_activation_asked_for_is_the_one_between_the_layers():
    values, codes = inputs(1)
    for activation, function in (("selu", functional.selu), ("mish", functional.mish)):
        net = build([1], activation=activation)
        weights = [p[0] for p in (*net.hidden, net.last, net.last_bias)]
        h = net.inputs(values, codes, None)[0]
        for weight, bias in zip(weights[:4:2], weights[1:4:2], strict=True):
            h = function(h @ weight + bias)
        torch.testing.assert_close(net(values, codes)[0, 0], h @ weights[4] + weights[5])


@pytest.mark.parametrize("network", FAMILIES)
def test_a_narrower_member_starts_as_at_its_own_width_and_zeros_fill_the_rest(network):
    filled = build([1, 2], network, width=16, widths=[16, 5])
    own = build([2], network, width=5)
    for name, parameter in own.named_parameters():
        slot = filled.get_parameter(name)[1].clone()
        corner = slot[tuple(slice(size) for size in parameter.shape[1:])]
        torch.testing.assert_close(corner, parameter[0], rtol=0, atol=0)
        corner.zero_()
        assert not slot.any(), name


@pytest.mark.parametrize("network", FAMILIES)
def test_noise_is_asked_for_once_per_hidden_layer_with_rows_head_by_head(network):
    shapes = []

    def noise(h):
        shapes.append(tuple(h.shape))
        return h.masked_fill(torch.ones(()).bool(), 0.0)

    net = build([1, 2], network, depth=3)
    out = net(*inputs(2), noise=noise)
    assert shapes == [(2, net.heads * 7, 16)] * 3
    torch.testing.assert_close(out, torch.zeros_like(out))


def test_weight_decay_leaves_biases_and_heads_scales_alone():
    assert build([1]).undecayed() == {"hidden.1", "hidden.3", "last_bias"}
    waves = build([1], "tabm", embedding="periodic").undecayed()
    assert waves == {"hidden.1", "hidden.3", "last_bias", "wave_bias", "scales"}


def test_every_family_has_a_config_and_an_emitter():
    from models.emit import EMITTERS

    assert CONFIGS.keys() == NETWORKS.keys() == EMITTERS.keys()


def test_generators_are_keyed_by_every_number_and_their_order():
    keys = [(1,), (2,), (1, 0), (0, 1), (-1,), (2**40,)]
    drawn = [float(torch.rand(1, generator=seeded(*key))) for key in keys]
    assert len(np.unique(drawn)) == len(keys)
