"""What the encoder did to columns, in words: cells filled, columns dropped, levels merged.

- With `impute = "auto"`, what every candidate came to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.encode import Encoder

SHOWN = 8  # columns named at most


def facts(encoder: Encoder) -> dict[str, Any]:
    """Return what an encoder did, as JSON: all folds' dropped columns, cells and merged levels."""
    dropped: dict[str, dict[str, Any]] = {}
    for each in encoder.dropped_:
        for name, why in each.items():
            dropped.setdefault(name, {"folds": 0, "why": why})["folds"] += 1
    names = encoder.columns.categories
    return {
        "imputation": encoder.filling_,
        "folds": len(encoder.dropped_),
        "dropped": dropped,
        "rare": _most(names, encoder.rare_),
        "shared": _most(names, encoder.shared_),
    }


def _most(names: Sequence[str], counts: Sequence[Sequence[int]]) -> dict[str, int]:
    """Return each category's largest count over folds, where there is one."""
    found = {name: max((fold[j] for fold in counts), default=0) for j, name in enumerate(names)}
    return {name: count for name, count in found.items() if count}


def lines(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return lines of the report: a name and what is said of it; none where nothing was done."""
    told = _filled(found.get("imputation") or {})
    if dropped := found.get("dropped"):
        words = [
            f"{name} ({each['why']}; {each['folds']} of {found['folds']} folds)"
            for name, each in list(dropped.items())[:SHOWN]
        ]
        told.append(("Dropped columns", _listed(words, len(dropped))))
    for key, what in (("rare", "Rare levels"), ("shared", "Levels in buckets")):
        if counts := found.get(key):
            words = [f"{name}, {count:,} rows" for name, count in list(counts.items())[:SHOWN]]
            told.append((what, _listed(words, len(counts))))
    return told


def _listed(words: Sequence[str], count: int) -> str:
    more = f"; {count - len(words)} more" if count > len(words) else ""
    return "; ".join(words) + more


def _filled(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    cells = max(found.get("cells") or [0])
    if not cells and found.get("kind", "median") == "median":
        return []
    words = f"{found['kind']}, {cells:,} cells of a fold's train rows"
    if why := found.get("why"):
        words += f" ({found['asked']} was asked for, but {why})"
    told = [("Missing numbers", words)]
    for row in (found.get("auto") or {}).get("tried", ()):
        error = "" if row["error"] is None else f"hidden cells {row['error']:.3g}, "
        what = f"{error}loss {row['loss']:.4g}, worse than the best by {row['worse']:.2g} "
        what += f"\N{PLUS-MINUS SIGN} {row['standard_error']:.2g}"
        told.append((f"tried: {row['imputer']}", what))
    return told
