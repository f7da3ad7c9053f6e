"""One column in numbers: counts, spread, levels, a histogram of at most 20 bins.

- `codes` is the column as relations take it: float64 with NaN (numbers; dates as days since
  1970), or level codes from the commonest level on, -1 for missing.
- Numbers that go to JSON are finite and rounded to 6 significant digits, except min and max.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.failure import written
from flows.characters import characters_of, zone_of
from models.served import FAULTS

if TYPE_CHECKING:
    import pandas as pd

    from flows.candidates import Guess

BINS = 20
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
LEVELS = 200
TEXT_LEVELS = 20
TEXT_SHARE = 0.5  # above this share of distinct texts, and
TEXT_DISTINCT = 50  # above so many of them, a column is free text or an identifier
TEXT_LENGTH = 60  # mean characters of a sentence
FAR = 10  # robust standard deviations
NULL = "<null>"
EXAMPLES = 5
SHORT = 80


def described(
    guess: Guess, cells: np.ndarray, fault: np.ndarray, values: pd.Series, records: pd.Series
) -> tuple[dict[str, Any], np.ndarray]:
    """Return what `profile.json` says of a column by itself, and its codes."""
    import pandas as pd

    missing = pd.isna(cells) & (fault == 0)
    bad = np.flatnonzero(fault)
    examples = [
        [int(records.iloc[row]), str(values.iloc[row])[:SHORT], FAULTS[int(fault[row])]]
        for row in bad[:EXAMPLES]
    ]
    facts: dict[str, Any] = {
        "kind": guess.kind,
        "seen": guess.kind,
        "reason": guess.reason,
        **_reading(guess),
        "missing": int(missing.sum()),
        "missing_share": _round(missing.mean()) if len(cells) else 0.0,
        "untypable": int(bad.size),
        "untypable_examples": examples,
        **dict.fromkeys(("min", "max", "mean", "std", "skew", "quantiles", "zeros", "negatives")),
        **dict.fromkeys(("outliers", "levels", "levels_complete", "length", "histogram")),
        "characters": None,
        "zone": zone_of(guess, values) if guess.kind == "date" else None,
        "association": None,
        "alone": None,
        "flags": list(guess.flags),
        "hints": list(guess.hints),
        "suggest": None,
    }
    measure = _levels if cells.dtype.kind == "O" else _spread
    more, codes = measure(cells, guess.kind)
    facts |= more
    _settle(facts, len(cells))
    return facts, codes


def _reading(guess: Guess) -> dict[str, Any]:
    entry = guess.entry
    date = guess.kind == "date"
    return {
        "decimal": entry.get("decimal") or ".",
        "thousands": entry.get("thousands"),
        "unit": entry.get("unit"),
        "format": entry.get("format") if date else None,
        "formats": list(guess.formats),
        "true": list(entry.get("true", ())) if guess.kind == "boolean" else [],
        "false": list(entry.get("false", ())) if guess.kind == "boolean" else [],
    }


def _settle(facts: dict[str, Any], rows: int) -> None:
    """Turn what has nothing to say into `ignored`, and what is nearly unique into `text`."""
    present = rows - facts["missing"] - facts["untypable"]
    facts["distinct_share"] = _round(facts["distinct"] / present) if present else 0.0
    if present == 0 or (facts["distinct"] == 1 and min(present, rows - present) < 10):
        word = "empty" if present == 0 else "constant"
        said = "no cell has a value" if present == 0 else f"every value is {facts['_first']}"
        facts |= {
            "kind": "ignored",
            "seen": word if present == 0 else facts["seen"],
            "reason": said,
        }
        facts["flags"].append("constant")
    elif facts["kind"] == "category" and _is_text(facts):
        facts |= {"kind": "text", "seen": "text"}
        facts["reason"] = f"{facts['distinct']:,} different texts in {present:,} cells"
        facts["levels"] = facts["levels"][:TEXT_LEVELS]
        facts["levels_complete"] = facts["distinct"] <= len(facts["levels"])
    facts.pop("_first", None)
    facts.pop("_mean_length", None)


def _is_text(facts: dict[str, Any]) -> bool:
    if facts["distinct"] <= TEXT_DISTINCT:
        return False
    return facts["distinct_share"] > TEXT_SHARE or facts["_mean_length"] > TEXT_LENGTH


def _round(value: Any) -> float | None:
    return float(f"{float(value):.6g}") if np.isfinite(value) else None


def _levels(cells: np.ndarray, _: str) -> tuple[dict[str, Any], np.ndarray]:
    import pandas as pd

    raw, distinct = pd.factorize(cells, use_na_sentinel=True)
    counts = np.bincount(raw[raw >= 0], minlength=len(distinct))
    order = sorted(range(len(distinct)), key=lambda k: (-counts[k], distinct[k]))
    place = np.empty(len(order) + 1, dtype=np.int64)
    place[order], place[-1] = np.arange(len(order)), -1
    levels = [[distinct[k], int(counts[k])] for k in order[:LEVELS]]
    sizes = np.array([len(text) for text in distinct], dtype=np.int64)
    shown = levels[: BINS - 1] if len(levels) > BINS else levels
    total = int(counts.sum())
    histogram = {
        "labels": [label for label, _ in shown],
        "counts": [count for _, count in shown],
        "other": total - sum(count for _, count in shown),
    }
    return {
        "distinct": len(distinct),
        "levels": levels,
        "levels_complete": len(distinct) <= LEVELS,
        "length": {"min": int(sizes.min()), "max": int(sizes.max())} if total else None,
        "characters": characters_of(list(distinct)) if total else None,
        "histogram": histogram if total else None,
        "_first": f'"{levels[0][0][:SHORT]}"' if levels else "",
        "_mean_length": float(np.sum(sizes * counts)) / total if total else 0.0,
    }, place[raw]


def _spread(cells: np.ndarray, kind: str) -> tuple[dict[str, Any], np.ndarray]:
    dates = kind == "date"
    codes = cells
    if dates:
        codes = (cells - np.datetime64(0, "us")) / np.timedelta64(1, "D")
    ordered = np.sort(codes[~np.isnan(codes)])
    if not ordered.size:
        return {"distinct": 0}, codes
    facts = {
        "distinct": 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1])),
        "min": _said(ordered[0], dates=dates, exact=True),
        "max": _said(ordered[-1], dates=dates, exact=True),
        "quantiles": {
            str(q): _said(v, dates=dates)
            for q, v in zip(QUANTILES, _quantiles(ordered, QUANTILES), strict=True)
        },
        "outliers": _outliers(ordered),
        "histogram": _histogram(ordered, dates=dates),
        "_first": written(_said(ordered[0], dates=dates, exact=True)),
        "_common": _count(ordered, float(_quantiles(ordered, (0.5,))[0])),
    }
    if not dates:
        middle = float(ordered.mean())
        facts |= {
            "mean": _round(middle),
            "std": _round(ordered.std()),
            "skew": _skew(ordered, middle),
            "zeros": _count(ordered, 0.0),
            "negatives": int(np.searchsorted(ordered, 0.0)),
        }
    return facts, codes


def _quantiles(ordered: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """Return what np.quantile does, of cells that are in order already."""
    at = (len(ordered) - 1) * np.array(shares)
    below = np.floor(at).astype(np.int64)
    low, high, part = ordered[below], ordered[np.minimum(below + 1, len(ordered) - 1)], at - below
    return np.where(part < 0.5, low + (high - low) * part, high - (high - low) * (1 - part))


def _count(ordered: np.ndarray, value: float) -> int:
    """How often a value occurs."""
    return int(np.searchsorted(ordered, value, "right") - np.searchsorted(ordered, value))


def _skew(ordered: np.ndarray, middle: float) -> float | None:
    scale = max(middle - float(ordered[0]), float(ordered[-1]) - middle)
    if scale <= 0 or not np.isfinite(scale):
        return None
    scaled = (ordered - middle) / scale  # so that cubes of large numbers stay finite
    squares = scaled * scaled
    return _round(float(np.mean(squares * scaled)) / float(np.mean(squares)) ** 1.5)


def _said(value: Any, *, dates: bool, exact: bool = False) -> Any:
    """Return a number for JSON, or the ISO text of a date given in days since 1970."""
    if not dates:
        return float(value) if exact else _round(value)
    moment = np.datetime64(0, "us") + np.timedelta64(round(float(value) * 86_400_000_000), "us")
    text = str(moment.astype("datetime64[s]"))
    return text.removesuffix("T00:00:00")


def _outliers(ordered: np.ndarray) -> int:
    low, median, high = _quantiles(ordered, (0.25, 0.5, 0.75))
    scale = (high - low) / 1.349
    if scale == 0:
        return 0
    far = ordered[[0, -1]]
    if max(abs(far - median)) <= FAR * scale:
        return 0
    return int(np.count_nonzero(np.abs(ordered - median) > FAR * scale))


def _histogram(ordered: np.ndarray, *, dates: bool) -> dict[str, Any]:
    """Return counts over the central 98 % (all, where that is no range), the rest beside it."""
    low, high = _quantiles(ordered, (0.01, 0.99))
    if low == high:
        low, high = ordered[0], ordered[-1]
    if low == high:
        low, high = low - 0.5, high + 0.5
    first, end = np.searchsorted(ordered, low), np.searchsorted(ordered, high, "right")
    inside = ordered[first:end]
    bins = min(BINS, max(1, len(np.unique(inside)) if len(inside) < 10_000 else BINS))
    edges = np.linspace(low, high, bins + 1)
    places = [*np.searchsorted(inside, edges[:-1]), len(inside)]  # the last bin has both its ends
    return {
        "edges": [_said(edge, dates=dates) for edge in edges],
        "counts": np.diff(places).tolist(),
        "below": int(first),
        "above": int(len(ordered) - end),
    }


def tokens_of(values: pd.Series, cells: np.ndarray, fault: np.ndarray) -> dict[str, Any]:
    """Return how often each text was taken as missing; `<null>` for cells without any."""
    import pandas as pd

    missing = np.flatnonzero(pd.isna(cells) & (fault == 0))
    raw = values.iloc[missing]
    null = raw.isna().to_numpy()
    counts = Counter(str(value).strip() for value in raw[~null])
    if null.any():
        counts[NULL] = int(null.sum())
    return {"tokens": dict(counts.most_common(BINS))}
