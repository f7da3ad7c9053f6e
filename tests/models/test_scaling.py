"""Centres and widths of numbers by name, and what is held."""

import numpy as np
import pytest
import torch

from models.encode import Columns, Encoder, TrainingTable
from models.scaling import SCALES, learn


@pytest.mark.parametrize(
    ("scale", "center", "width"), [("robust", 3, 2), ("standard", 4, 8**0.5), ("minmax", 5, 4)]
)
def test_a_scale_centres_and_measures(scale, center, width):
    found = learn(np.array([[1.0], [2], [3], [4], [9], [np.nan], [5]]), scale=scale, clip=0.0)
    cells = np.array([1.0, 2, 3, 4, 9, 5])
    wanted = {
        "robust": (3.5, np.subtract(*np.quantile(cells, [0.75, 0.25]))),
        "standard": (cells.mean(), cells.std()),
        "minmax": (center, width),
    }[scale]
    assert (found["center"][0], 1 / found["factor"][0]) == pytest.approx(wanted)
    assert found["lacking"].tolist() == [True]


@pytest.mark.parametrize("scale", list(SCALES))
@pytest.mark.parametrize("cells", [[7.0, 7.0], [np.nan, np.nan], [np.inf, 1.0], [-1e308, 1e308]])
def test_columns_that_say_nothing_have_finite_state(scale, cells):
    found = learn(np.array(cells)[:, None], scale=scale, clip=0.0)
    assert np.isfinite(found["center"]).all()
    assert np.isfinite(found["factor"]).all()


def test_cells_are_held_within_quantiles_of_train_rows():
    cells = np.arange(101.0)[:, None]
    found = learn(cells, scale="minmax", clip=0.1)
    assert (found["least"][0], found["most"][0]) == pytest.approx((10, 90))
    assert (found["center"][0], 1 / found["factor"][0]) == pytest.approx((50, 40))


def test_ranks_are_spread_evenly_and_end_where_train_cells_do():
    cells = np.exp(np.random.default_rng(0).normal(size=2000) * 3)[:, None]
    table = TrainingTable(
        numbers=cells, categories=np.empty((2000, 0), object), target=np.zeros(2000),
        weight=np.ones(2000), fold=np.where(np.arange(2000) < 200, 0, -1), classes=0,
        columns=Columns(numbers=("x",), categories=()),
    )  # fmt: skip
    encoder = Encoder(bins=0, scale="quantile").fit(table)
    asked = torch.tensor([[0.0], [1e300], [float(np.median(cells))]], dtype=torch.float64)
    nothing = torch.zeros((3, 0), dtype=torch.int64)
    found = encoder(asked, nothing)[0][0, :, 0].tolist()
    assert found == pytest.approx([-(3**0.5), 3**0.5, 0.0], abs=0.1)
    whole = encoder(torch.from_numpy(cells), torch.zeros((2000, 0), dtype=torch.int64))[0]
    assert float(whole.std()) == pytest.approx(1.0, abs=0.05)
