"""Calibration: mended where it is broken, left alone where it is not, honest about itself."""

import numpy as np
import pytest

from models.calibrate import Calibration, calibrate
from models.ensemble import row_losses


def sharp(rng, *, classes, rows=3000, factor=2.5, shift=0.0):
    """Probabilities that are `factor` times too sure and shifted to class 0, with codes."""
    scores = rng.normal(size=(rows, classes)) * 1.5
    true = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    codes = np.array([rng.choice(classes, p=row) for row in true])
    said = factor * scores
    said[:, 0] += shift
    given = np.exp(said - said.max(axis=1, keepdims=True))
    return given / given.sum(axis=1, keepdims=True), codes


@pytest.mark.parametrize(("classes", "kind"), [(2, "platt"), (4, "temperature")])
def test_overconfidence_is_undone(classes, kind):
    given, codes = sharp(np.random.default_rng(0), classes=classes)
    found, honest = calibrate(given, codes, np.ones(3000))
    assert found.kind == kind
    assert found.scale == pytest.approx(1 / 2.5, abs=0.06)
    assert found.gain > found.standard_error
    assert row_losses(honest, codes, "x").mean() < row_losses(given, codes, "x").mean() - 0.05


def test_a_shifted_class_gets_a_bias():
    given, codes = sharp(np.random.default_rng(1), classes=3, factor=1.0, shift=2.0)
    found, _ = calibrate(given, codes, np.ones(3000))
    assert found.kind == "bias"
    assert found.bias[0] - found.bias[1] == pytest.approx(-2.0, abs=0.3)


@pytest.mark.parametrize("classes", [2, 3])
def test_calibrated_probabilities_are_left_as_they_are(classes):
    given, codes = sharp(np.random.default_rng(2), classes=classes, factor=1.0)
    found, honest = calibrate(given, codes, np.ones(3000))
    assert not found.used
    np.testing.assert_array_equal(honest, given)
    np.testing.assert_array_equal(found.apply(given), given)


def test_no_row_helps_to_calibrate_itself():
    given, codes = sharp(np.random.default_rng(3), classes=2)
    part = np.arange(3000) % 5
    _, honest = calibrate(given, codes, np.ones(3000), part=part)
    flipped = codes.copy()
    flipped[part == 0] = 1 - flipped[part == 0]
    _, other = calibrate(given, flipped, np.where(part == 0, 1e-9, 1.0), part=part)
    np.testing.assert_allclose(honest[part == 0], other[part == 0], atol=1e-4)


def test_weights_decide_which_rows_count():
    rng = np.random.default_rng(4)
    given, codes = sharp(rng, classes=2)
    wrong = rng.integers(0, 2, 3000)
    both, target = np.concatenate([given, given]), np.concatenate([codes, wrong])
    weight = np.concatenate([np.ones(3000), np.full(3000, 1e-9)])
    found, _ = calibrate(both, target, weight)
    alone, _ = calibrate(given, codes, np.ones(3000))
    assert found.scale == pytest.approx(alone.scale, abs=0.02)


def test_few_rows_and_missing_rows_are_no_trouble():
    given, codes = sharp(np.random.default_rng(5), classes=2, rows=20)
    assert not calibrate(given, codes, np.ones(20))[0].used
    given, codes = sharp(np.random.default_rng(5), classes=2)
    given[:7] = np.nan
    found, honest = calibrate(given, codes, np.ones(3000))
    assert found.used
    assert np.isnan(honest[:7]).all()
    assert np.isfinite(honest[7:]).all()


def test_a_class_without_rows_keeps_finite_parameters():
    given, codes = sharp(np.random.default_rng(6), classes=4)
    codes[codes == 3] = 2
    found, honest = calibrate(given, codes, np.ones(3000))
    assert np.isfinite(found.bias).all()
    assert np.isfinite(honest).all()


def test_probabilities_of_zero_and_one_stay_finite():
    calibration = Calibration(kind="platt", scale=0.5, bias=np.array([0.1, -0.1]))
    found = calibration.apply(np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)
