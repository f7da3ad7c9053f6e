"""What the encoder learns, from which rows, and what it does with cells it has never seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.bins import edges_of
from models.encode import Columns, Encoder, TrainingTable, folds


def table(numbers=None, categories=None, fold=None, target=None, **changes):
    rows = len(numbers if numbers is not None else categories)
    numbers = np.empty((rows, 0)) if numbers is None else np.asarray(numbers, dtype=np.float64)
    categories = (
        np.empty((rows, 0), object) if categories is None else np.asarray(categories, dtype=object)
    )
    columns = Columns(
        numbers=tuple(f"n{i}" for i in range(numbers.shape[1])),
        categories=tuple(f"c{i}" for i in range(categories.shape[1])),
    )
    given = {
        "numbers": numbers,
        "categories": categories,
        "target": np.zeros(rows) if target is None else target,
        "weight": np.ones(rows),
        "fold": np.arange(rows) % 2 if fold is None else np.asarray(fold),
        "columns": columns,
        "classes": 0,
    }
    return TrainingTable(**{**given, **changes})


def encode(encoder, numbers, categories=None):
    numbers = torch.tensor(numbers, dtype=torch.float64)
    if categories is None:
        categories = np.empty((len(numbers), 0), object)
    return encoder(numbers, encoder.codes(np.asarray(categories, dtype=object)))


@pytest.fixture
def numbers():
    return np.random.default_rng(0).normal(size=(200, 3))


def test_a_fold_learns_nothing_from_the_rows_it_judges(numbers):
    before = Encoder().fit(table(numbers))
    garbage = numbers.copy()
    garbage[::2] *= 1000  # fold 0's validation rows
    after = Encoder().fit(table(garbage))
    for name in ("median", "center", "factor"):
        assert torch.equal(getattr(before, name)[0], getattr(after, name)[0])
        assert not torch.equal(getattr(before, name)[1], getattr(after, name)[1])
    assert torch.allclose(before.low[0], after.low[0])


def test_a_holdout_leaves_no_trace_in_any_learned_state():
    rng = np.random.default_rng(1)
    x, c = rng.normal(size=(100, 2)), rng.choice(np.array(["a", "b", "c"], object), (100, 1))
    fold = np.where(np.arange(100) < 20, 0, -1)
    before = Encoder().fit(table(x, c, fold))
    x[:20], c[:20] = np.nan, "other"
    after = Encoder().fit(table(x, c, fold))
    assert before.vocabulary_ == after.vocabulary_
    for name, tensor in before.state_dict().items():
        assert torch.equal(tensor, after.state_dict()[name]), name


def test_a_missing_number_becomes_the_median_and_is_flagged(numbers):
    numbers[5, 1] = np.nan
    encoder = Encoder(bins=0).fit(table(numbers, fold=np.where(np.arange(200) < 50, 0, -1)))
    assert encoder.indicator.tolist() == []  # row 5 is judged, not trained on
    numbers[100, 1] = np.nan
    encoder = Encoder(bins=0).fit(table(numbers, fold=np.where(np.arange(200) < 50, 0, -1)))
    values, _ = encode(encoder, [[0.0, np.nan, np.nan], [0.0, 0.5, 0.5]])
    assert values[0, :, 3].tolist() == [1.0, 0.0]
    assert values[0, 0, 1:3].tolist() == [0.0, 0.0]  # the median is the centre


def test_an_indicator_is_silent_in_a_fold_whose_train_rows_lack_nothing(numbers):
    numbers[1, 0] = np.nan  # judged by fold 1, so only fold 0 trains on it
    encoder = Encoder(bins=0).fit(table(numbers))
    values, _ = encode(encoder, [[np.nan, 0.0, 0.0]])
    assert values[:, 0, 3].tolist() == [1.0, 0.0]


def test_large_numbers_are_centred_in_float64_before_any_cast():
    minutes = 1.7e9 + 60.0 * np.arange(1440)
    encoder = Encoder(bins=0).fit(table(minutes[:, None]))
    values, _ = encode(encoder, minutes[:, None])
    assert len(np.unique(values[0].numpy())) == 1440


@pytest.mark.parametrize("cell", [np.inf, -np.inf, 1e308, -1e308])
def test_extreme_cells_stay_finite(numbers, cell):
    numbers[:, 2] = 7.0  # and so does a constant column
    encoder = Encoder().fit(table(numbers))
    values, _ = encode(encoder, [[cell] * 3])
    assert torch.isfinite(values).all()
    assert values.abs()[..., :3].max() <= 3.0


def test_codes_are_unknown_0_missing_1_then_levels_of_one_shared_vocabulary():
    c = np.array([["서울"], ["서울"], ["부산"], ["부산"], [""], [""], ["서울"], ["부산"]])
    encoder = Encoder(rare=1).fit(table(categories=c, fold=np.arange(8) % 2))
    assert encoder.vocabulary_ == [["부산", "서울"]]
    seen = np.array([["서울"], ["부산"], [""], ["대구"]], dtype=object)
    assert encoder.codes(seen)[:, 0].tolist() == [3, 2, 1, 0]


def test_a_level_absent_from_a_folds_train_rows_is_unknown_there():
    c = np.array([["a"], ["a"], ["a"], ["a"], ["b"], ["a"], ["b"], ["a"]])  # b in even rows only
    encoder = Encoder(rare=1).fit(table(categories=c, fold=np.arange(8) % 2))
    _, codes = encode(encoder, np.empty((2, 0)), [["a"], ["b"]])
    assert codes[0, :, 0].tolist() == [2, 0]  # fold 0 judges the even rows
    assert codes[1, :, 0].tolist() == [2, 3]


def test_missing_is_unknown_in_a_fold_that_never_saw_it():
    c = np.array([["a"], ["a"], ["a"], ["a"], [""], ["a"]])
    encoder = Encoder(rare=1).fit(table(categories=c, fold=np.arange(6) % 2))
    _, codes = encode(encoder, np.empty((1, 0)), [[""]])
    assert codes[:, 0, 0].tolist() == [0, 1]


def test_many_levels_are_capped_and_rare_ones_counted():
    c = np.array([[f"v{i // 4:03d}"] for i in range(400)] + [["once"], ["twice"]])
    fold = np.where(np.arange(402) % 4 == 0, 0, -1)
    encoder = Encoder(levels=10).fit(table(categories=c, fold=fold))
    assert len(encoder.vocabulary_[0]) == 10
    assert encoder.rare_ == [[int((fold == -1).sum()) - 10 * 3]]


def test_a_spike_leaves_bins_for_the_rest():
    rng = np.random.default_rng(0)
    values = np.where(rng.random(5000) < 0.9, 0.0, rng.normal(size=5000))
    edges = edges_of(values, 16)
    assert len(edges) >= 15
    assert edges[0] == values.min()
    assert edges[-1] == values.max()


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3.0, 3.0], [3.0, 3.0]), ([], [0.0, 0.0]), ([1.0, 2.0, 2.0, 5.0], [1.0, 2.0, 5.0])],
)
def test_bins_of_columns_with_few_values(values, expected):
    assert edges_of(np.array(values), 16).tolist() == expected


def test_positions_run_through_the_bins_in_order():
    x = np.repeat([[1.0], [2.0], [3.0], [10.0]], 4, axis=0)
    encoder = Encoder(bins=8).fit(table(x))
    values, _ = encode(encoder, [[1.0], [2.0], [3.0], [10.0], [0.0], [99.0], [1.5]])
    position = values[0, :, 1].tolist()
    assert position[:6] == pytest.approx([0, 1, 2, 3, 0, 3], abs=1e-5)
    assert 0 < position[6] < 1


def test_an_encoder_is_restored_from_json_and_tensors(numbers):
    c = np.array([["a", "b"][i % 2] for i in range(200)], dtype=object)[:, None]
    encoder = Encoder().fit(table(numbers, c))
    twin = Encoder.restore(encoder.describe(), encoder.state_dict())
    for ours, theirs in zip(encode(encoder, numbers, c), encode(twin, numbers, c), strict=True):
        assert torch.equal(ours, theirs)
    assert twin.columns == encoder.columns


def test_folds_are_counted_and_one_sided_folds_refused(numbers):
    assert folds(table(numbers)) == 2
    with pytest.raises(ValueError, match="at least one row must be a validation row"):
        table(numbers, fold=np.full(200, -1))
    with pytest.raises(ValueError, match="fold 0 must leave rows on both sides, however: 200"):
        table(numbers, fold=np.zeros(200, dtype=int))


def test_blocks_that_contradict_each_other_are_refused(numbers):
    with pytest.raises(ValueError, match=r"weight must have shape \(200,\), however: \(3,\)"):
        table(numbers, weight=np.ones(3))
