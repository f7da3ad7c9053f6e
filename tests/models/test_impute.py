"""Every imputer fills what is missing, touches nothing else, and learns from train rows alone."""

import numpy as np
import pytest

from models.impute import IMPUTERS
from models.impute_auto import _chosen
from models.impute_linear import Mice, conditional

QUICK = {
    "median": {}, "mice": {}, "forest": {"trees": 10, "rounds": 1},
    "masked": {"steps": 60, "width": 16}, "gain": {"steps": 60},
}  # fmt: skip


def made(name, **options):
    return IMPUTERS[name](**({"seed": 0} | QUICK[name] | options))


def line(rows=400, *, share=0.3, seed=0):
    """Five columns about one direction, of very different sizes, with gaps."""
    rng = np.random.default_rng(seed)
    whole = rng.normal(size=(rows, 1)) @ rng.normal(size=(1, 5)) + 0.1 * rng.normal(size=(rows, 5))
    whole = whole * [1.0, 1e6, 1e-6, 1.0, 3.0] + [0.0, 1.7e9, 0.0, 5.0, -2.0]
    return whole, np.where(rng.random(whole.shape) < share, np.nan, whole)


def error(guess, whole, gaps):
    off = (guess - whole) / whole.std(axis=0)
    return float(np.sqrt(np.mean(off[np.isnan(gaps)] ** 2)))


@pytest.mark.parametrize("name", list(IMPUTERS))
def test_what_was_there_stays_and_nothing_is_missing_afterwards(name):
    _, gaps = line()
    gaps[3] = np.nan
    gaps[5, 0], gaps[6, 1] = np.inf, -np.inf
    odd = np.hstack([gaps, np.full((len(gaps), 1), 7.0), np.full((len(gaps), 1), np.nan)])
    imputer = made(name).fit(odd)
    unseen = np.vstack([odd[:20], np.full((1, 7), np.nan), np.full((1, 7), 1e300)])
    filled = imputer.transform(unseen)
    there = ~np.isnan(unseen)
    np.testing.assert_array_equal(filled[there], unseen[there])
    assert np.isfinite(filled[~there]).all()
    low = np.where(np.isfinite(odd), odd, np.inf).min(axis=0, initial=0)
    high = np.where(np.isfinite(odd), odd, -np.inf).max(axis=0, initial=0)
    assert ((filled >= low) & (filled <= high))[~there].all()


@pytest.mark.parametrize("name", ["mice", "forest"])
def test_columns_that_follow_from_others_are_filled_better_than_by_medians(name):
    whole, gaps = line()
    plain = error(made("median").fit(gaps).transform(gaps), whole, gaps)
    assert error(IMPUTERS[name](seed=0).fit(gaps).transform(gaps), whole, gaps) < plain / 2


@pytest.mark.parametrize(
    ("name", "options"), [("masked", {"steps": 200}), ("gain", {"steps": 2_000})]
)
def test_networks_learn_to_fill(name, options):
    whole, gaps = line(share=0.2)
    plain = error(made("median").fit(gaps).transform(gaps), whole, gaps)
    found = made(name, **options, **({"width": 64} if name == "masked" else {})).fit(gaps)
    assert error(found.transform(gaps), whole, gaps) < 0.75 * plain


@pytest.mark.parametrize("name", list(IMPUTERS))
def test_the_same_seed_gives_the_same_bits(name):
    _, gaps = line(120)
    first, second = (made(name).fit(gaps).transform(gaps) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", ["masked", "gain"])
def test_another_seed_gives_another_network(name):
    _, gaps = line(120)
    first, second = (made(name, seed=seed).fit(gaps).transform(gaps) for seed in (0, 1))
    assert (first != second).any()


@pytest.mark.parametrize("name", ["mice", "forest"])
def test_known_columns_help(name):
    rng = np.random.default_rng(0)
    level = rng.integers(0, 3, 400)
    whole = (10.0 * level + rng.normal(size=400))[:, None]
    gaps = np.where(rng.random(whole.shape) < 0.3, np.nan, whole)
    hints = np.eye(3)[level]
    filled = IMPUTERS[name](seed=0).fit(gaps, hints).transform(gaps, hints)
    assert np.abs(filled - 10.0 * level[:, None])[np.isnan(gaps)].mean() < 1.5


@pytest.mark.parametrize("name", list(IMPUTERS))
def test_a_table_of_one_row_or_column_is_filled(name):
    assert np.isfinite(made(name).fit([[1.0, np.nan]] * np.ones((1, 2))).transform(
        np.full((2, 2), np.nan))).all()  # fmt: skip
    filled = made(name).fit(np.array([[1.0], [np.nan], [3.0]])).transform(np.array([[np.nan]]))
    assert 1.0 <= filled[0, 0] <= 3.0


def test_passes_lead_to_the_conditional_mean():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(8, 6))
    precision = root.T @ root
    z = rng.normal(size=(50, 6))
    absent = rng.random(z.shape) < 0.4
    z[absent] = 0.0
    found = conditional(z, absent, precision, passes=6)
    for row, gone, filled in zip(z, absent, found, strict=True):
        if gone.any():
            there = precision[np.ix_(gone, ~gone)] @ row[~gone]
            wanted = -np.linalg.solve(precision[np.ix_(gone, gone)], there)
            np.testing.assert_allclose(filled[gone], wanted, atol=1e-8)
        np.testing.assert_allclose(filled[~gone], row[~gone])


def test_copies_keep_the_spread_that_a_mean_hides():
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000)
    y = x + 0.5 * rng.normal(size=2000)
    late = np.where(x > 0, 0.8, 0.2) > rng.random(2000)  # missing by x: not completely at random
    gaps = np.stack([x, np.where(late, np.nan, y)], axis=1)
    imputer = Mice(seed=1).fit(gaps)
    mean = imputer.transform(gaps)[:, 1]
    copies = [copy[:, 1] for copy in imputer.copies(gaps, count=5)]
    assert mean[late].std() < 0.9 * y[late].std()
    for copy in copies:
        np.testing.assert_array_equal(copy[~late], y[~late])
        assert copy[late].std() == pytest.approx(y[late].std(), rel=0.1)
        assert np.polyfit(x, copy, 1)[0] == pytest.approx(1.0, abs=0.1)
    means = [copy.mean() for copy in copies]
    assert 0 < np.std(means) < 0.05
    assert abs(np.mean(means) - y.mean()) < 0.06
    assert (copies[0] != copies[1])[late].all()


def test_missing_for_a_reason_that_is_in_the_table_biases_the_mean_less():
    rng = np.random.default_rng(3)
    x = rng.normal(size=3000)
    y = 2 * x + rng.normal(size=3000)
    gaps = np.stack([x, np.where(x > 0.5, np.nan, y)], axis=1)
    filled = Mice().fit(gaps).transform(gaps)
    assert abs(filled[:, 1].mean() - y.mean()) < 0.4 * abs(np.nanmean(gaps[:, 1]) - y.mean())


def tried(name, error, losses):
    losses = np.asarray(losses, dtype=float)
    return {"imputer": name, "error": error, "loss": float(losses.mean())}, losses


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # no sure difference: the cheapest
        ([("median", 1.0, [1, 2, 3, 2]), ("mice", 0.5, [1, 2, 2.9, 2.05])], "median"),
        # surely better
        ([("median", 1.0, [1, 2, 3, 2]), ("mice", 0.5, [0.5, 1.4, 2.5, 1.6])], "mice"),
        # as good as the best, but worse than medians at hidden cells: passed over
        ([("median", 1.0, [2, 2, 2, 2]), ("mice", 1.5, [1, 1, 1, 1]),
          ("masked", 0.4, [1, 1, 1, 1])], "masked"),
    ],
)  # fmt: skip
def test_auto_takes_the_cheapest_that_is_not_surely_worse(given, expected):
    rows, losses = zip(*(tried(*each) for each in given), strict=True)
    name, facts = _chosen(list(rows), losses, 10)
    assert name == expected
    assert [row["imputer"] for row in facts["tried"]] == [each[0] for each in given]
