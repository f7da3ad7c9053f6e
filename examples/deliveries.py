"""A table like those that people have: categories, dates, missing cells, Korean column names.

`python examples/deliveries.py OUT.csv` writes it; the same seed writes the same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROWS = 3_000
DISTRICTS = ("강남구", "마포구", "송파구", "은평구", "중구")
WEATHER = ("맑음", "비", "눈", "흐림")


def deliveries(rows: int = ROWS, seed: int = 7) -> pd.DataFrame:
    """Return parcels: where, when, how heavy, how far; and whether each came late."""
    random = np.random.default_rng(seed)
    district = random.choice(DISTRICTS, rows, p=(0.3, 0.25, 0.2, 0.15, 0.1))
    weather = random.choice(WEATHER, rows, p=(0.5, 0.2, 0.05, 0.25))
    day = pd.Timestamp("2025-01-01") + pd.to_timedelta(random.integers(0, 540, rows), unit="D")
    weight = random.lognormal(0.5, 0.8, rows).round(2)
    distance = random.gamma(2.0, 4.0, rows).round(1)
    urgent = random.random(rows) < 0.2
    slow = (
        0.16 * distance
        + 1.4 * (weather == "눈")
        + 0.7 * (weather == "비")
        + 0.5 * (district == "강남구")
        + 0.8 * (day.day_of_week >= 5)
        - 1.1 * urgent
        - 2.3
    )
    late = random.random(rows) < 1 / (1 + np.exp(-slow))
    table = pd.DataFrame(
        {
            "주문번호": [f"A{100_000 + i}" for i in range(rows)],
            "지역": district,
            "날씨": weather,
            "주문일": day.strftime("%Y-%m-%d"),
            "무게(kg)": weight,
            "거리(km)": distance,
            "급송": np.where(urgent, "예", "아니오"),
            "지연": np.where(late, "지연", "정시"),
        }
    )
    for column, share in (("날씨", 0.04), ("무게(kg)", 0.08), ("주문일", 0.01)):
        table[column] = table[column].astype(object).where(random.random(rows) >= share, None)
    return table


def frame() -> pd.DataFrame:
    """Return the table as text, as a CSV file would hold it; a source for settings files."""
    return deliveries().astype("str").replace({"None": "", "nan": ""})


if __name__ == "__main__":
    deliveries().to_csv(Path(sys.argv[1]), index=False)
