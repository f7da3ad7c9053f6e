"""Balance: what is drawn and weighed, and probabilities that are those of the true prior all the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from models.balancing import (
    FEWEST,
    drawn_rows,
    offsets,
    pool,
    sizes,
    stratified,
    taken_back,
)
from models.batches import Batches
from models.encode import Columns, Encoder, TrainingTable
from models.fit import encode, train_population
from models.networks import CONFIGS
from models.population import Member, Population
from models.settings import TrainSettings


def given(rows=3000, *, classes=2, share=0.06, seed=0):
    """A table of which the last class is rare; the numbers tell it in part."""
    rng = np.random.default_rng(seed)
    rare = rng.random(rows) < share
    target = np.where(rare, classes - 1, rng.integers(0, max(classes - 1, 1), rows))
    x = rng.normal(size=(rows, 4))
    x[:, 0] += 1.5 * rare
    return TrainingTable(
        numbers=x, categories=np.empty((rows, 0), dtype=object), target=target.astype(np.int64),
        weight=np.ones(rows), fold=np.where(np.arange(rows) % 3 == 0, 0, -1), classes=classes,
        columns=Columns(numbers=tuple("abcd"), categories=()),
    )  # fmt: skip


def test_sizes_of_what_is_drawn_from():
    counts = np.array([1000, 0, 40, 300])
    assert sizes(counts, "under").tolist() == [FEWEST, 0, 40, FEWEST]
    assert sizes(np.array([1000, 400]), "under").tolist() == [400, 400]
    assert sizes(counts, "over").tolist() == [1000, 0, 1000, 1000]
    assert sizes(counts, "weights").tolist() == counts.tolist()


@pytest.mark.parametrize(("kind", "wanted"), [("under", [100, 100]), ("over", [400, 400])])
def test_a_member_draws_from_equal_classes(kind, wanted):
    labels = torch.tensor([0] * 400 + [1] * 100)
    rows = torch.arange(500) + 7
    own = pool(rows, labels, kind, torch.Generator().manual_seed(0))
    assert np.bincount(labels[own - 7].numpy()).tolist() == wanted
    other = pool(rows, labels, kind, torch.Generator().manual_seed(1))
    if kind == "under":
        assert len(own.unique()) == 200
        assert not torch.equal(own.sort()[0], other.sort()[0])  # another part
    else:
        assert len(own.unique()) == 500


def test_over_repeats_whole_classes_before_parts():
    labels = torch.tensor([0] * 25 + [1] * 10)
    own = pool(torch.arange(35), labels, "over", torch.Generator().manual_seed(0))
    counts = np.bincount(own.numpy(), minlength=35)[25:]
    assert sorted(counts.tolist()) == [2] * 5 + [3] * 5


def test_the_offset_is_the_log_of_what_is_shown_over_what_is_true():
    table = given()
    table.weight[table.target == 1] = 2.0
    train = table.fold != 0
    totals = np.bincount(table.target[train], table.weight[train])
    counts = np.bincount(table.target[train])
    true = np.log(totals / totals.sum())
    even = offsets(table, folds=1, kind="weights")[0].numpy()
    np.testing.assert_allclose(even, np.log(0.5) - true, atol=1e-6)
    # Drawn equally often, rows that weigh twice as much are still two thirds of what is shown.
    over = offsets(table, folds=1, kind="over")[0].numpy()
    np.testing.assert_allclose(over, np.log([1 / 3, 2 / 3]) - true, atol=1e-6)
    assert offsets(table, folds=1, kind="none") is None
    assert drawn_rows(table, train, "under") == 2 * counts.min()
    assert drawn_rows(table, train, "over") == train.sum()


def test_rows_that_judge_are_neither_counted_nor_drawn():
    table = given()
    settings = TrainSettings(task="binary", balance="under", members=1, epochs=1)
    before = encode(table, settings).rows
    judged = table.fold == 0
    other = replace(table, target=np.where(judged, 1, table.target))
    after = encode(other, settings).rows
    assert torch.equal(before.offset, after.offset)
    members = settings.population(1)
    drawn = [_order(rows, members[0]) for rows in (before, after)]
    assert torch.equal(*drawn)
    assert not judged[drawn[0].numpy()].any()


def _order(rows, member):
    return Batches(rows, None, batch=50, steps=10).order(member, 0)


def test_a_part_of_what_is_drawn_from_has_the_same_shares():
    settings = TrainSettings(task="binary", epochs=1, members=1, balance="under")
    encoded = encode(given(), settings)
    member = Member(fold=0, seed=0, share=0.25)
    drawn = _order(encoded.rows, member).unique()
    counts = np.bincount(encoded.table.target[drawn.numpy()])
    assert counts.sum() == round(0.25 * encoded.size)
    assert abs(counts[0] - counts[1]) < 0.3 * counts.sum()


def test_a_population_starts_as_it_would_without_the_offset():
    table = given(classes=3)
    encoder = Encoder(bins=4).fit(table)
    for network in CONFIGS:
        made = [
            Population.build(
                encoder, network=network, config=CONFIGS[network](width=8), outputs=3,
                members=[Member(fold=0, seed=0), Member(fold=0, seed=1)],
            )
            for _ in range(2)
        ]  # fmt: skip
        offset = torch.tensor([[1.0, -2.0, 0.5]])
        taken_back(made[1], offset)
        values, codes = encoder(
            torch.from_numpy(table.numbers[:9]), torch.zeros((9, 0), dtype=torch.int64)
        )
        plain, moved = (
            each.heads(values.expand(2, -1, -1), codes.expand(2, -1, -1)) for each in made
        )
        torch.testing.assert_close(moved + offset[0], plain)


@pytest.mark.parametrize("balance", ["weights", "over", "under"])
@pytest.mark.parametrize("network", ["mlp", "tabm"])
def test_answers_have_the_true_prior_and_rank_no_worse(network, balance):
    table = given()
    judged = table.fold == 0
    how = {"task": "binary", "network": network, "members": 2, "epochs": 12, "width": 32}
    found = {}
    for kind in ("none", balance):
        fitted = train_population(table, TrainSettings(**how, balance=kind))
        logits = fitted.validation[:, judged]
        shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
        found[kind] = (shares / shares.sum(axis=-1, keepdims=True)).mean(axis=0)[:, 1]
    truth = table.target[judged]
    error = (truth.mean() * (1 - truth.mean()) / len(truth)) ** 0.5
    assert abs(found[balance].mean() - truth.mean()) < 3 * error  # uncorrected it would be above .3
    assert roc_auc_score(truth, found[balance]) > roc_auc_score(truth, found["none"]) - 0.02


def test_three_classes_are_balanced_and_corrected_too():
    table = given(classes=3)
    fitted = train_population(
        table, TrainSettings(task="multiclass", balance="over", members=1, epochs=10, width=32)
    )
    judged = table.fold == 0
    logits = fitted.validation[0, judged]
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    found = (shares / shares.sum(axis=-1, keepdims=True)).mean(axis=0)
    wanted = np.bincount(table.target[judged]) / judged.sum()
    np.testing.assert_allclose(found, wanted, atol=0.05)


@pytest.mark.parametrize("balance", ["over", "stratify"])
def test_a_number_has_no_classes_to_balance(balance):
    with pytest.raises(ValueError, match="balance needs classes, however: the target is a number"):
        TrainSettings(task="regression", balance=balance)


def counted(labels, order, steps):
    """How many rows of each class each batch holds, (steps, K)."""
    found = labels[order].reshape(steps, -1).numpy()
    return np.stack([np.bincount(each, minlength=int(labels.max()) + 1) for each in found])


@pytest.mark.parametrize(
    "counts", [[480, 20, 12], [500, 12], [3, 509], [256, 256], [64] * 8, [300, 0, 211, 1]]
)
def test_every_batch_has_each_class_in_its_share(counts):
    labels = torch.from_numpy(
        np.random.default_rng(0).permutation(np.repeat(range(len(counts)), counts))
    )
    chance = torch.Generator().manual_seed(0)
    order = stratified(labels, steps=16, batch=32, generator=chance)
    assert torch.equal(order.sort()[0], torch.arange(512))  # each row once
    apart = np.abs(counted(labels, order, 16) - 32 * np.array(counts) / 512)
    assert apart.max() < 1
    other = stratified(labels, steps=16, batch=32, generator=chance)
    assert not torch.equal(order, other)  # the next epoch's


@pytest.mark.parametrize(("steps", "batch"), [(7, 64), (9, 64), (40, 50), (1, 500), (3, 1)])
def test_batches_that_do_not_divide_the_rows_have_the_shares_and_leave_none_out_for_good(
    steps, batch
):
    counts = np.array([431, 57, 11, 1])
    labels = torch.from_numpy(np.repeat(np.arange(4), counts))
    drawn, classes = np.zeros(500), np.zeros((steps, 4))
    for epoch in range(300):
        order = stratified(
            labels, steps=steps, batch=batch, generator=torch.Generator().manual_seed(epoch)
        )
        assert len(order) == steps * batch
        each = np.bincount(order.numpy(), minlength=500)
        assert each.max() - each.min() <= 1
        held = counted(labels, order, steps)
        assert np.abs(held - batch * counts / 500).max() < 1
        drawn += each
        classes += held
    # Every class, and every row, is drawn as often as it would be without strata, in any batch.
    assert np.abs(classes - 300 * batch * counts / 500).max() < 5 * (300 / 4) ** 0.5
    if steps > 3:
        assert drawn.min() > 0


def test_strata_show_the_prior_as_it_is_and_never_rows_that_judge():
    table = given(rows=1800, share=0.02)
    settings = TrainSettings(task="binary", balance="stratify", epochs=1)
    rows = encode(table, settings).rows
    assert rows.offset is None
    train = table.fold != 0
    assert drawn_rows(table, train, "stratify") == train.sum() == 24 * 50
    one, other = settings.population(1)[:2]
    batches = Batches(rows, None, batch=50, steps=24)
    orders = [batches.order(one, 0), batches.order(other, 0), batches.order(one, 1)]
    assert not torch.equal(orders[0], orders[1])  # members of a population differ
    assert not torch.equal(orders[0], orders[2])  # and so do epochs
    for order in orders:
        assert np.array_equal(np.sort(order.numpy()), np.flatnonzero(train))
        rare = table.target[order.numpy()].reshape(24, 50).sum(axis=1)
        assert rare.max() - rare.min() <= 1
    part = batches.order(replace(one, share=0.5), 0)
    assert len(part.unique()) == 600


@pytest.mark.parametrize("network", ["mlp", "tabm"])
def test_a_member_drawn_by_strata_is_the_same_alone(network):
    table = given(rows=400, classes=3, share=0.1)
    table = replace(table, fold=np.arange(400) % 2)
    how = {"task": "multiclass", "network": network, "balance": "stratify", "batch": 32}
    settings = TrainSettings(**how, members=2, epochs=3, width=8, heads=2, precision="double")
    together = train_population(table, settings)
    several = settings.population(2)
    for s in range(2):
        alone = train_population(table, settings, members=several[2 * s : 2 * s + 2])
        np.testing.assert_allclose(alone.validation[0], together.validation[s], atol=1e-9)
    plain = train_population(table, replace(settings, balance="none"))
    assert not np.allclose(plain.validation, together.validation)


def test_strata_learn_as_well_as_chance():
    table = given()
    judged = table.fold == 0
    how = {"task": "binary", "members": 2, "epochs": 12, "width": 32}
    found = {}
    for balance in ("none", "stratify"):
        logits = train_population(table, TrainSettings(**how, balance=balance)).validation[
            :, judged
        ]
        shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
        found[balance] = (shares / shares.sum(axis=-1, keepdims=True)).mean(axis=0)[:, 1]
    truth = table.target[judged]
    error = (truth.mean() * (1 - truth.mean()) / len(truth)) ** 0.5
    assert abs(found["stratify"].mean() - truth.mean()) < 3 * error
    assert roc_auc_score(truth, found["stratify"]) > roc_auc_score(truth, found["none"]) - 0.02


def test_a_row_that_must_come_again_is_not_twice_in_a_batch():
    labels = torch.tensor([1] * 100 + [0] * 1500)
    chance = torch.Generator().manual_seed(0)
    order = stratified(labels, steps=100, batch=64, generator=chance).reshape(100, 64)
    assert all(len(batch.unique()) == 64 for batch in order)


def test_strata_may_weigh_too():
    settings = TrainSettings(task="binary", balance="stratify", class_weight="balanced")
    assert settings.population(1)[0].balanced
