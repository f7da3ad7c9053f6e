"""Ways to make a step: the published arithmetic, for every member with rates of its own."""

import pytest
import torch

from models.optimize import PopulationOptimizer
from models.settings import TrainSettings
from models.updates import UPDATES

RATES = [(1e-2, 0.0), (3e-3, 0.5), (1e-3, 0.1)]


def course(update, rates, steps=6):
    """Values of members (P, 4) after steps along gradients that differ from step to step."""
    draw = torch.Generator().manual_seed(0)
    start = torch.randn(len(rates), 4, generator=draw, dtype=torch.float64)
    start[:] = start[0]
    parameter = torch.nn.Parameter(start.clone())
    lr, decay = zip(*rates, strict=True)
    optimizer = PopulationOptimizer(
        [("weight", parameter)], lr=lr, weight_decay=decay, undecayed=set(), update=update
    )
    for step in range(steps):
        optimizer.zero_grad()
        (parameter * torch.cos(parameter.detach() + step)).sum().backward()
        optimizer.step()
    return start[0], parameter.detach()


def by_hand(update, start, lr, decay, steps=6):
    """The same for one member, written as the papers have it."""
    values, mean, square = start.clone(), torch.zeros(4).double(), torch.zeros(4).double()
    for step in range(steps):
        gradient = torch.cos(values + step)
        values = values * (1 - lr * decay)
        if update == "adamw":
            mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
            unbiased = square / (1 - 0.99 ** (step + 1))
            values = values - lr * mean / (1 - 0.9 ** (step + 1)) / (unbiased.sqrt() + 1e-8)
        elif update == "lion":
            values = values - lr * torch.sign(0.9 * mean + 0.1 * gradient)
            mean = 0.99 * mean + 0.01 * gradient
        else:
            mean = 0.9 * mean + gradient
            values = values - lr * (gradient + 0.9 * mean)
    return values


@pytest.mark.parametrize("update", list(UPDATES))
def test_a_step_is_the_published_one_with_each_members_own_rates(update):
    start, values = course(update, RATES)
    for (lr, decay), found in zip(RATES, values, strict=True):
        torch.testing.assert_close(found, by_hand(update, start, lr, decay), rtol=0, atol=1e-12)


def test_nesterovs_momentum_is_torchs_own():
    start, values = course("sgd", [(1e-2, 0.0)])
    theirs = torch.nn.Parameter(start.clone())
    reference = torch.optim.SGD([theirs], lr=1e-2, momentum=0.9, nesterov=True)
    for step in range(6):
        reference.zero_grad()
        (theirs * torch.cos(theirs.detach() + step)).sum().backward()
        reference.step()
    torch.testing.assert_close(values[0], theirs.detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("update", list(UPDATES))
def test_what_is_left_to_the_optimizer_keeps_rate_times_decay(update):
    auto = TrainSettings(task="binary", optimizer=update).plan(5_000)
    adamw = TrainSettings(task="binary").plan(5_000)
    assert auto.lr * auto.weight_decay == pytest.approx(adamw.lr * adamw.weight_decay)
    assert (auto.lr == adamw.lr) == (update == "adamw")
    given = TrainSettings(task="binary", optimizer=update, lr=0.3).plan(5_000)
    assert given.lr == 0.3


def test_an_optimizer_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match=r"optimizer must be one of \('adamw', 'lion', 'sgd'\)"):
        TrainSettings(task="binary", optimizer="adam")
