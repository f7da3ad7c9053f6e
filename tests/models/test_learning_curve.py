"""Parts of the rows, one population: the parts hold one another and the sentence follows."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from models.batches import Batches
from models.encode import Columns, TrainingTable
from models.fit import encode
from models.learning_curve import SHARES, Point, diagnosis, learning_curve
from models.population import Member
from models.settings import TrainSettings

SETTINGS = TrainSettings(task="regression", members=1, epochs=60, batch=32, bins=8, width=32)


def table(rows, noise):
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(rows, 4))
    target = np.sin(2 * numbers[:, 0]) * numbers[:, 1] + noise * rng.normal(size=rows)
    return TrainingTable(
        numbers=numbers,
        categories=np.empty((rows, 0), object),
        target=target,
        weight=np.ones(rows),
        fold=np.arange(rows) % 3,
        columns=Columns(numbers=("a", "b", "c", "d"), categories=()),
        classes=0,
    )


def test_more_rows_help_where_there_is_more_to_learn():
    points = learning_curve(encode(table(600, 0.05), SETTINGS), SETTINGS)
    assert [p.share for p in points] == list(SHARES)
    assert [p.rows for p in points] == [50, 100, 200, 400]
    scores = [p.score for p in points]
    assert scores[0] > scores[-1]
    assert all(p.error > 0 and len(p.scores) == 3 for p in points)
    assert diagnosis(points)["helps"]
    assert "more rows should help" in diagnosis(points)["sentence"]


def test_the_parts_hold_one_another_and_stay_the_same():
    encoded = encode(table(120, 0.1), SETTINGS)
    batches = Batches(encoded.rows, None, batch=8, steps=10)
    seen = [
        {
            int(row)
            for epoch in (0, 1)
            for row in batches.order(Member(fold=0, seed=1, share=share), epoch)
        }
        for share in SHARES
    ]
    assert [len(rows) for rows in seen] == [10, 20, 40, 80]
    assert all(a < b for a, b in pairwise(seen))
    assert all(encoded.table.fold[list(rows)].min() > 0 for rows in seen)


@pytest.mark.parametrize(
    ("scores", "train", "helps", "words"),
    [
        ((0.40, 0.30), 0.29, True, "bias or noise"),
        ((0.300, 0.2999), 0.10, False, "variance"),
        ((0.300, 0.31), 0.30, False, "did not fall"),
    ],
)
def test_the_sentence_follows_the_figures(scores, train, helps, words):
    half, whole = scores
    points = [
        Point(share=0.5, rows=50, score=half, error=0.01, train=train),
        Point(share=1.0, rows=100, score=whole, error=0.01, train=train),
    ]
    said = diagnosis(points)
    assert said["helps"] is helps
    assert words in said["sentence"]


def test_a_gain_within_noise_is_called_so():
    points = [
        Point(share=0.5, rows=50, score=0.30, error=0.1, train=0.2, scores=(0.2, 0.4)),
        Point(share=1.0, rows=100, score=0.28, error=0.1, train=0.2, scores=(0.24, 0.32)),
    ]
    said = diagnosis(points)
    assert said["helps"] is None
    assert "cannot be told" in said["sentence"]


def test_without_a_finite_point_nothing_is_claimed():
    lost = Point(share=1.0, rows=8, score=None, error=None, train=None)
    assert diagnosis([lost, lost])["helps"] is None


def test_losses_of_other_shares_of_classes_are_not_compared():
    settings = replace(SETTINGS, task="binary", balance="over", epochs=2)
    numbers = table(300, 0.05)
    labels = (numbers.target > 0.5).astype(np.int64)
    encoded = encode(replace(numbers, target=labels, classes=2), settings)
    points = learning_curve(encoded, settings)
    assert not any(point.comparable for point in points)
    assert "training loss" not in diagnosis(points)["sentence"]
