"""Components: what they keep, what they learn from, and what rows far out become."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from models.encode import Columns, Encoder, TrainingTable

KINDS = ("pca", "autoencoder")


def given(rows=600, *, columns=8):
    """Numbers that follow from two, with a little noise."""
    rng = np.random.default_rng(0)
    core = rng.normal(size=(rows, 2))
    x = core @ rng.normal(size=(2, columns)) + 0.05 * rng.normal(size=(rows, columns))
    return TrainingTable(
        numbers=x, categories=np.empty((rows, 0), dtype=object), target=core[:, 0],
        weight=np.ones(rows), fold=np.arange(rows) % 2, classes=0,
        columns=Columns(numbers=tuple(f"n{i}" for i in range(columns)), categories=()),
    )  # fmt: skip


def fitted(table, kind, *, size=2, join=False, bins=4, **more):
    return Encoder(bins=bins, reduce={"kind": kind, "size": size, "join": join}, **more).fit(table)


def values(encoder, numbers):
    numbers = torch.as_tensor(numbers, dtype=torch.float64)
    return encoder(numbers, torch.zeros((len(numbers), 0), dtype=torch.int64))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_two_components_hold_what_two_numbers_made(kind):
    encoder = fitted(given(), kind)
    assert encoder.entering == 2
    assert all(share > 0.95 for share in encoder.reducing.facts["kept"])
    found = values(encoder, given().numbers)
    assert found.shape[2] == 4  # and their places among the bins
    assert found[..., :2].std(dim=1).flatten().tolist() == pytest.approx([1.0] * 4, abs=0.35)


def test_principal_components_are_those_of_the_train_rows():
    table = given()
    encoder = fitted(table, "pca", bins=0)
    plain = Encoder(bins=0).fit(table)
    train = table.fold != 0
    scaled = values(plain, table.numbers)[0].numpy().astype(float)
    wanted = PCA(2).fit(scaled[train]).transform(scaled)
    wanted = wanted / wanted[train].std(axis=0)
    wanted = wanted / np.sqrt(1 + (wanted / 3) ** 2)
    found = values(encoder, table.numbers)[0].numpy()
    signs = np.sign((found * wanted).sum(axis=0))
    np.testing.assert_allclose(found * signs, wanted, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_components_join_the_numbers_or_stand_for_them(kind):
    table = given()
    alone, joined = (fitted(table, kind, join=join) for join in (False, True))
    assert (alone.entering, joined.entering) == (2, 10)
    plain = values(Encoder(bins=0).fit(table), table.numbers)
    assert torch.equal(values(joined, table.numbers)[..., :8], plain)


@pytest.mark.parametrize("kind", KINDS)
def test_more_components_than_numbers_are_as_many_as_numbers(kind):
    encoder = fitted(given(columns=3), kind, size=50)
    assert (encoder.entering, encoder.reducing.facts["asked"]) == (3, 50)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", [np.inf, -1e308, np.nan])
def test_rows_far_out_stay_finite_and_within_three_units(kind, cell):
    table = given()
    table.numbers[:, 3] = 7.0  # a constant column says nothing here either
    found = values(fitted(table, kind), np.full((1, 8), cell))
    assert torch.isfinite(found).all()
    assert found[..., :2].abs().max() < 3


@pytest.mark.parametrize("kind", ["pca", pytest.param("autoencoder", marks=pytest.mark.long)])
def test_a_fold_learns_nothing_from_the_rows_it_judges(kind):
    table = given()
    before = fitted(table, kind)
    table.numbers[table.fold == 0] = np.random.default_rng(9).normal(size=(300, 8)) * 1000
    after = fitted(table, kind)
    for name, tensor in before.reducing.named_buffers():
        assert torch.equal(tensor[0], getattr(after.reducing, name)[0]), name
        if name not in ("b0", "b1"):
            assert not torch.equal(tensor[1], getattr(after.reducing, name)[1]), name
    assert before.reducing.facts["kept"][0] == after.reducing.facts["kept"][0]


@pytest.mark.parametrize("kind", KINDS)
def test_an_encoder_with_components_is_restored(kind):
    table = given()
    encoder = fitted(table, kind, join=True)
    twin = Encoder.restore(encoder.describe(), encoder.state_dict())
    assert torch.equal(values(encoder, table.numbers), values(twin, table.numbers))
    assert twin.reducing.facts == encoder.reducing.facts


def test_a_table_without_numbers_has_nothing_to_reduce():
    words = np.random.default_rng(0).choice(np.array(["a", "b"], dtype=object), (60, 1))
    table = TrainingTable(
        numbers=np.empty((60, 0)), categories=words, target=np.arange(60.0), weight=np.ones(60),
        fold=np.arange(60) % 2, classes=0, columns=Columns(numbers=(), categories=("c",)),
    )  # fmt: skip
    assert fitted(table, "pca").reducing is None
