"""The closed forms agree with scipy, with their definitions and with a bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats
from two_models import binary, multiclass, numbers, told

from expectations.intervals import draws
from expectations.metrics import METRICS, PER_ROW, ROOTS
from expectations.paired import by_score, mcnemar
from expectations.predictions import Predictions


def test_a_mean_per_row_is_the_paired_t_test() -> None:
    ours, theirs = binary(300, 3, noise=0.2), binary(300, 3, noise=0.6)
    for name in ("log_loss", "brier"):
        found = told(ours, theirs, name)
        t = stats.ttest_rel(PER_ROW[name](theirs), PER_ROW[name](ours))
        wanted = t.confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))


def test_delong_is_its_definition() -> None:
    ours, theirs = binary(200, 4, noise=0.2), binary(200, 4, noise=0.8)
    wins = []
    for found in (ours, theirs):
        yes, no = found.p[found.target == 1, 1], found.p[found.target == 0, 1]
        wins.append((yes[:, None] > no) + 0.5 * (yes[:, None] == no))
    apart = wins[0] - wins[1]
    m, n = apart.shape
    variance = apart.mean(axis=1).var(ddof=1) / m + apart.mean(axis=0).var(ddof=1) / n
    found = told(ours, theirs, "roc_auc")
    assert found.method == "delong"
    assert found.value == pytest.approx(apart.mean())
    assert found.standard_error == pytest.approx(math.sqrt(variance))


@pytest.mark.parametrize(
    ("won", "lost", "rows"), [(12, 4, 80), (0, 3, 50), (7, 0, 300), (1, 1, 20)]
)
def test_the_score_interval_ends_where_the_constrained_likelihood_says(
    won: int, lost: int, rows: int
) -> None:
    tail = 0.03
    found = by_score(won, lost, rows, tail)
    same = rows - won - lost

    def score(difference: float) -> float:
        """Tango's statistic, with the likelihood maximised by scipy under the difference."""

        def cost(only_lost: float) -> float:
            only_won = only_lost + difference
            rest = 1 - only_won - only_lost
            shares = [(won, only_won), (lost, only_lost), (same, rest)]
            return -sum(k * math.log(max(p, 1e-300)) for k, p in shares if k)

        bounds = (max(0.0, -difference), (1 - difference) / 2)
        q = optimize.minimize_scalar(
            cost, bounds=bounds, method="bounded", options={"xatol": 1e-12}
        ).x
        variance = rows * (2 * q + difference * (1 - difference))
        return (won - lost - rows * difference) / math.sqrt(variance)

    z = stats.norm.isf(tail)
    assert score(found.low) == pytest.approx(z, abs=2e-3)
    assert score(found.high) == pytest.approx(-z, abs=2e-3)


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (5, 0), (3, 9), (40, 40), (700, 600)])
def test_mcnemar_is_the_exact_binomial_test(won: int, lost: int) -> None:
    wanted = stats.binomtest(won, won + lost).pvalue if won + lost else 1.0
    assert mcnemar(won, lost) == pytest.approx(wanted)


@pytest.mark.parametrize("name", ["roc_auc", "rmse", "rmsle", "accuracy", "brier"])
def test_influence_agrees_with_a_bootstrap_over_groups_and_weights(name: str) -> None:
    task = binary if "binary" in METRICS[name].tasks else numbers
    ours, theirs = task(900, 6, noise=0.2), task(900, 6, noise=1.0)
    rng = np.random.default_rng(1)
    weight, unit = rng.uniform(0.5, 2, 900), rng.integers(0, 300, 900)
    found = told(ours, theirs, name, weight=weight, unit=unit)
    function = METRICS[name].function
    spread = np.concatenate(
        [function(ours, w) - function(theirs, w) for w in draws(unit, weight, 1500, 0)]
    )
    assert (found.method, found.units) == ("influence", len(np.unique(unit)))
    assert found.standard_error == pytest.approx(spread.std(), rel=0.1)


def test_the_multiclass_area_has_the_bootstraps_spread() -> None:
    ours, theirs = multiclass(500, 7, noise=0.3), multiclass(500, 7, noise=1.5)
    found = told(ours, theirs, "roc_auc")
    function = METRICS["roc_auc"].function
    drawn = draws(np.arange(500), np.ones(500), 1000, 0)
    spread = np.concatenate([function(ours, w) - function(theirs, w) for w in drawn])
    assert found.standard_error == pytest.approx(spread.std(), rel=0.1)


def test_every_mean_per_row_is_its_metric() -> None:
    costs = np.array([[0.0, 1.0], [5.0, 0.0]])
    rows = binary(300, 8)
    rows = Predictions(
        task="binary", target=rows.target, probabilities=rows.p, label=rows.label, costs=costs
    )
    weight = np.random.default_rng(2).uniform(0.5, 2, 300)
    for name, per_row in PER_ROW.items():
        found = rows if "binary" in METRICS[name].tasks else numbers(300, 8, noise=1.0)
        mean = float(np.average(per_row(found), weights=weight))
        wanted = float(METRICS[name].function(found, weight[None, :])[0])
        assert (math.sqrt(mean) if name in ROOTS else mean) == pytest.approx(wanted), name
