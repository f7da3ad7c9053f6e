"""What the encoder did to columns, in words: rows left out, cells filled, columns dropped, levels
merged, crosses and components made.

- With `impute = "auto"`, what every candidate came to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.encode import Encoder, TrainingTable
    from models.outliers import Outliers

SHOWN = 8  # columns named at most
LOOKED = 40  # columns named at most with how often they were chosen


def facts(encoder: Encoder, table: TrainingTable) -> dict[str, Any]:
    """Return what was done to a table, as JSON: rows left out, and all folds' dropped columns, cells
    and merged levels.
    """
    dropped: dict[str, dict[str, Any]] = {}
    for each in encoder.dropped_:
        for name, why in each.items():
            dropped.setdefault(name, {"folds": 0, "why": why})["folds"] += 1
    names = encoder.columns.categories
    return {
        "outliers": _outliers(table.outliers),
        "imputation": encoder.filling_,
        "folds": len(encoder.dropped_),
        "dropped": dropped,
        "chosen": _mean(encoder.chosen_),
        "interactions": _crosses(encoder.crossing_),
        "asked": {name: encoder.limits[name] for name in ("keep", "keep_by", "interactions")},
        "reduced": None if encoder.reducing is None else encoder.reducing.facts,
        "rare": _most(names, encoder.rare_),
        "shared": _most(names, encoder.shared_),
    }


def _outliers(found: Outliers | None) -> dict[str, Any] | None:
    """Return how many rows each fold left out, and the most by each column in one, the most first."""
    if found is None:
        return None
    most: dict[str, int] = {}
    for fold in found.columns:
        for name, count in fold.items():
            most[name] = max(most.get(name, 0), count)
    ranked = sorted(most.items(), key=lambda pair: -pair[1])
    return {
        "limit": found.limit,
        "train": list(found.train),
        "left_out": found.counts,
        "columns": dict(ranked[:LOOKED]),
        "more_columns": max(len(ranked) - LOOKED, 0),
    }


def _mean(chosen: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return in which share of all folds' looks each column was chosen, the commonest first."""
    made = [fold for fold in chosen if fold]  # others had no choice to make
    names = dict.fromkeys(name for fold in made for name in fold)
    shares = {name: sum(fold.get(name, 0.0) for fold in made) / len(made) for name in names}
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))


def _crosses(found: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return every cross with the folds that found it, and the most that it explains in one."""
    crosses: dict[str, dict[str, Any]] = {}
    for fold in found:
        for each in fold:
            known = crosses.setdefault(each["name"], {"folds": 0, "explains": 0.0})
            known["folds"] += 1
            known["explains"] = max(known["explains"], each["explains"])
    return dict(sorted(crosses.items(), key=lambda pair: -pair[1]["folds"]))


def _most(names: Sequence[str], counts: Sequence[Sequence[int]]) -> dict[str, int]:
    """Return each category's largest count over folds, where there is one."""
    found = {name: max((fold[j] for fold in counts), default=0) for j, name in enumerate(names)}
    return {name: count for name, count in found.items() if count}


def lines(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return lines of the report: a name and what is said of it; none where nothing was done."""
    told = _left_out(found.get("outliers")) + _filled(found.get("imputation") or {})
    if dropped := found.get("dropped"):
        words = [
            f"{name} ({each['why']}; {each['folds']} of {found['folds']} folds)"
            for name, each in list(dropped.items())[:SHOWN]
        ]
        told.append(("Dropped columns", _listed(words, len(dropped))))
    told += _chosen(found) + _made(found)
    for key, what in (("rare", "Rare levels"), ("shared", "Levels in buckets")):
        if counts := found.get(key):
            words = [f"{name}, {count:,} rows" for name, count in list(counts.items())[:SHOWN]]
            told.append((what, _listed(words, len(counts))))
    return told


def _left_out(found: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Say how many train rows folds did not learn from, and by which columns."""
    if not found:
        return []
    counts, limit = found["left_out"], f"{found['limit']:g} widths"
    if not any(counts):
        return [("Outlier rows", f"none: no train row lies farther out than {limit}")]
    rows = [
        f"{count:,} of {train:,} train rows"
        for count, train in zip(counts, found["train"], strict=True)
    ]
    where = [row if len(rows) == 1 else f"fold {k}: {row}" for k, row in enumerate(rows)]
    columns = [f"{name} {count:,}" for name, count in list(found["columns"].items())[:SHOWN]]
    by = _listed(columns, len(found["columns"]) + found["more_columns"])
    left = f"beyond {limit} left out; {_listed(where[:SHOWN], len(where))}"
    most = "by column" if len(rows) == 1 else "by column, the most in a fold"
    return [("Outlier rows", left), (f"Outlier rows {most}", by)]


def _chosen(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say how often each column was chosen, where columns were."""
    if not (chosen := found.get("chosen")):
        return []
    by = found["asked"]["keep_by"]
    words = [f"{name} {share:.0%}" for name, share in list(chosen.items())[:LOOKED]]
    return [(f"Chosen by {by}, share of looks", _listed(words, len(chosen)))]


def _made(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say which crosses and components networks read."""
    told, asked = [], found.get("asked") or {}
    if crosses := found.get("interactions"):
        words = [
            f"{name} ({each['folds']} of {found['folds']} folds, explains up to "
            f"{each['explains']:.1%} of what single columns leave)"
            for name, each in list(crosses.items())[:SHOWN]
        ]
        told.append(("Interactions", _listed(words, len(crosses))))
    elif asked.get("interactions"):
        told.append(("Interactions", "none says more than single columns do"))
    if reduced := found.get("reduced"):
        share = min(reduced["kept"])
        words = (
            f"{reduced['size']} of {reduced['numbers']} numbers by {reduced['kind']}, which hold "
        )
        words += f"{share:.1%} of their variance or more"
        if reduced["size"] < reduced["asked"]:
            words += f"; {reduced['asked']} were asked for"
        words += ", beside the numbers" if reduced["join"] else ", in their stead"
        told.append(("Components", words))
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
