"""The network in numpy: its derivatives and its steps are those that torch comes to."""

import numpy as np
import pytest
import torch

from models.impute_layers import Layers

SIZES = [(5, 4, 4, 3), (2, 3, 1), (6, 2)]


def made(sizes, seed=0):
    net = Layers(sizes, np.random.default_rng(seed))
    for _, bias in net.layers:
        bias[:] = np.random.default_rng(seed + 1).normal(size=bias.shape)
    return net


def twin(net):
    """The same layers in torch."""
    parts = []
    for weight, bias in net.layers:
        layer = torch.nn.Linear(*weight.shape)
        layer.weight.data = torch.from_numpy(weight.T.copy())
        layer.bias.data = torch.from_numpy(bias.copy())
        parts += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1])


def flat_of(model, field):
    pairs = [(layer.weight, layer.bias) for layer in model if isinstance(layer, torch.nn.Linear)]
    picked = [[getattr(each, field) for each in pair] for pair in pairs]
    return torch.cat([torch.cat([w.T.reshape(-1), b]) for w, b in picked]).numpy()


@pytest.mark.parametrize("sizes", SIZES)
def test_answers_and_derivatives_are_those_of_torch(sizes):
    net, rng = made(sizes), np.random.default_rng(2)
    model = twin(net)
    x = rng.normal(size=(7, sizes[0])).astype(np.float32)
    down = rng.normal(size=(7, sizes[-1])).astype(np.float32)
    given = torch.from_numpy(x).requires_grad_()
    answer = model(given)
    (answer * torch.from_numpy(down)).sum().backward()
    np.testing.assert_allclose(net.forward(x), answer.detach().numpy(), rtol=1e-5, atol=1e-6)
    net.backward(down)
    np.testing.assert_allclose(net.grad, flat_of(model, "grad"), rtol=1e-4, atol=1e-5)
    assert given.grad is not None
    wanted = given.grad.numpy()[:, :2]
    np.testing.assert_allclose(net.inward(down, 2), wanted, rtol=1e-4, atol=1e-5)


def test_steps_are_those_of_adam():
    net, rng = made(SIZES[0]), np.random.default_rng(3)
    model = twin(net)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(20):
        x = rng.normal(size=(9, 5)).astype(np.float32)
        optimizer.zero_grad()
        (model(torch.from_numpy(x)) ** 2).sum().backward()
        optimizer.step()
        net.backward(2 * net.forward(x))
        assert net.step(1e-2)
    np.testing.assert_allclose(net.flat, flat_of(model, "data"), rtol=1e-3, atol=1e-4)


def test_a_step_that_is_not_finite_changes_nothing():
    net = made(SIZES[1])
    before = net.flat.copy()
    net.forward(np.ones((3, 2), np.float32))
    with np.errstate(invalid="ignore"):
        net.backward(np.full((3, 1), np.inf, np.float32))
        assert not net.step(1e-3)
    np.testing.assert_array_equal(net.flat, before)


def test_the_layers_that_serve_are_those_that_were_trained():
    net = made(SIZES[0])
    arrays = net.arrays(net.flat, columns=4)
    (first, bias), *_ = net.layers
    np.testing.assert_array_equal(arrays["w0"], first[:4])
    np.testing.assert_array_equal(arrays["hints"], first[4:])
    np.testing.assert_array_equal(arrays["b0"], bias)
    assert sum(value.size for value in arrays.values()) == net.flat.size
