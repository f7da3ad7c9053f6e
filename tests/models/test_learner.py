"""Parts of training: own batches, own masks, own end; nobody touches a neighbour."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.batches import Batches
from models.course import Courses
from models.encode import Columns, Encoder, TrainingTable
from models.fit import _rows
from models.learner import Field
from models.networks import MLPConfig
from models.objective import Target, loss_weights, row_losses, wants_log
from models.population import Member, Population
from models.room import Room
from models.settings import TrainSettings

MEMBERS = [Member(fold=f, seed=s, dropout=0.25 * s) for s in range(2) for f in range(2)]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    return TrainingTable(
        numbers=rng.normal(size=(50, 2)),
        categories=np.empty((50, 0), object),
        target=rng.integers(0, 3, 50),
        weight=rng.random(50),
        fold=np.arange(50) % 2,
        columns=Columns(numbers=("x", "y"), categories=()),
        classes=3,
    )


def serve(table, members=MEMBERS, batch=8):
    settings = TrainSettings(task="multiclass")
    encoder = Encoder(bins=4).fit(table)
    target = Target.fit(table, folds=2, log_target="auto")
    rows = _rows(table, encoder, target, settings, torch.device("cpu"), Room())
    config = MLPConfig(width=8)
    population = Population.build(encoder, network="mlp", config=config, outputs=3, members=members)
    return Batches(rows, population, batch=batch, steps=3)


def test_an_epoch_visits_train_rows_once_in_each_members_own_order(table):
    batches = serve(table)
    orders = [batches.order(m, epoch=0).tolist() for m in MEMBERS]
    for member, order in zip(MEMBERS, orders, strict=True):
        assert len(set(order)) == 24  # 3 steps of 8, of 25 train rows
        assert (table.fold[order] != member.fold).all()
    assert orders[0] != orders[2]
    assert batches.order(MEMBERS[0], epoch=1).tolist() != orders[0]
    assert serve(table, MEMBERS[2:]).order(MEMBERS[2], epoch=0).tolist() == orders[2]


def test_a_batch_holds_rows_targets_and_weights_that_belong_together(table):
    batches = serve(table)
    _, _, target, weight = next(next(iter(batches.train_dataloader())))
    for place, member in enumerate(MEMBERS):
        rows = batches.order(member, epoch=0)[:8].numpy()
        assert target[place].tolist() == table.target[rows].tolist()
        train = table.weight[table.fold != member.fold]
        np.testing.assert_allclose(weight[place], table.weight[rows] / train.mean(), rtol=1e-5)


def test_validation_covers_each_folds_rows_once_whatever_their_number(table):
    batches = serve(replace(table, fold=np.where(np.arange(50) < 5, 0, 1)))
    weight = sum(w.sum(dim=1) for _, _, _, w in next(iter(batches.val_dataloader())))
    expected = [table.weight[:5].sum(), table.weight[5:].sum()] * 2
    np.testing.assert_allclose(weight, expected)


def test_a_members_noise_is_its_own_and_silences_its_share(table):
    def drawn(members, width=8):
        population = serve(table, members).population
        noise = Field(population, epoch=0, rows=8, calls=400).at(0, slice(None))
        return torch.stack([noise(torch.ones(len(members), 8, width)) for _ in range(400)], dim=1)

    slices = drawn(MEMBERS)
    assert (slices[:2] == 1).all()  # no dropout
    assert float((slices[2:] == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert not torch.equal(slices[2], slices[3])
    assert torch.equal(drawn(MEMBERS[3:])[0], slices[3])
    assert torch.equal(drawn(MEMBERS, width=12)[..., :8], slices)  # beside wider neighbours too


def test_blocks_of_members_read_their_own_part_of_the_noise(table):
    field = Field(serve(table).population, epoch=0, rows=8, calls=6)
    whole, part = field.at(2, slice(None)), field.at(2, slice(2, 4))
    for _ in range(2):
        assert torch.equal(whole(torch.ones(4, 8, 8))[2:], part(torch.ones(2, 8, 8)))


def test_seeds_shared_by_members_are_drawn_and_gathered_once(table):
    same = [Member(fold=0, seed=1, dropout=rate) for rate in (0.2, 0.5)]
    field = Field(serve(table, same).population, epoch=0, rows=8, calls=1).field
    assert ((field[1] > 0) <= (field[0] > 0)).all()  # one draw, two thresholds
    values, *_ = next(serve(table, same).train_steps())
    assert values.stride(0) == 0


def test_best_weights_are_kept_per_member(table):
    population = serve(table).population
    courses = Courses(population, patience=2)

    def epoch(number, scores, value):
        with torch.no_grad():
            for parameter in population.parameters():
                parameter.fill_(value)
        return courses.close_epoch(
            population, epoch=number, train=[0.0] * len(scores), validation=scores
        )

    assert epoch(0, [1.0, 1.0, 1.0, math.nan], 0.0) == [0, 1, 2]
    population.keep([0, 1, 2])
    assert epoch(1, [0.5, 2.0, 2.0], 1.0) == [0, 1, 2]
    assert epoch(2, [0.7, 0.8, 2.0], 2.0) == [0, 1]
    kept = courses.best_weights["net.last"][:, 0, 0].tolist()
    assert kept[:3] == [1.0, 2.0, 0.0]
    assert [r.best_epoch for r in courses.records] == [1, 2, 0, -1]
    assert [r.stopped for r in courses.records] == [None, None, "patience", "failed"]


@pytest.mark.parametrize(("best_at", "waits"), [(0, 3), (1, 4), (2, 6), (3, 7), (9, 7)])
def test_a_member_waits_twice_as_long_as_its_best_took_within_bounds(table, best_at, waits):
    population = serve(table, MEMBERS[:1]).population
    courses = Courses(population, patience=7, least=3)
    falling = [1.0 / (epoch + 1) for epoch in range(best_at + 1)]
    for epoch, loss in enumerate([*falling, *[2.0] * 20]):
        if not courses.close_epoch(population, epoch=epoch, train=[0.0], validation=[loss]):
            break
    (record,) = courses.records
    assert (record.best_epoch, record.stopped) == (best_at, "patience")
    assert len(record.validation) - 1 - best_at == waits


def test_row_losses_are_torchs_cross_entropy_with_the_members_smoothing():
    raw, target = torch.randn(2, 5, 3), torch.randint(0, 3, (2, 5))
    found = row_losses(raw, target, torch.tensor([0.0, 0.2]))
    for place, smoothing in enumerate((0.0, 0.2)):
        expected = torch.nn.functional.cross_entropy(
            raw[place], target[place], reduction="none", label_smoothing=smoothing
        )
        torch.testing.assert_close(found[place], expected)


def test_targets_are_standardised_by_each_folds_weighted_train_rows(table):
    y = np.random.default_rng(1).normal(5, 3, 50)
    data = replace(table, target=y, classes=0)
    target = Target.fit(data, folds=2, log_target=False)
    for fold in (0, 1):
        train = data.fold != fold
        mean = np.average(y[train], weights=data.weight[train])
        assert float(target.mean[fold]) == pytest.approx(mean)
    learned = target.learned(y, classes=0)
    back = target(learned.unsqueeze(2), torch.tensor([0, 1]))
    np.testing.assert_allclose(back, np.stack([y, y]), rtol=1e-5)


def test_balanced_weights_give_every_class_the_same_total(table):
    weights, _ = loss_weights(table, folds=2)
    plain, balanced = weights
    train = table.fold != 0
    totals = np.bincount(table.target[train], balanced[0].numpy()[train])
    np.testing.assert_allclose(totals, totals.mean(), rtol=1e-5)
    for kind in (plain, balanced):
        assert float(kind[0][torch.from_numpy(train)].mean()) == pytest.approx(1.0, rel=1e-5)


def test_weights_that_are_all_zero_are_refused(table):
    with pytest.raises(ValueError, match="row weights must not all be zero"):
        loss_weights(replace(table, weight=np.zeros(50)), folds=2)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.exp(np.random.default_rng(0).normal(0, 1.5, 500)), True),
        (np.random.default_rng(0).normal(100, 5, 500), False),
        (np.random.default_rng(0).normal(0, 1, 500) ** 3, False),  # has negative values
        (np.full(500, 3.0), False),
    ],
)
def test_the_log_is_proposed_for_heavy_tails_only(values, expected):
    assert wants_log(values) is expected
