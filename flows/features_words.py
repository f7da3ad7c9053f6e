"""What the encoder did to columns, in words: cells filled, columns dropped, levels merged, crosses
and components made.

- With `impute = "auto"`, what every candidate came to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.encode import Encoder

SHOWN = 8  # columns named at most
LOOKED = 40  # columns named at most with how often they were chosen


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
        "chosen": _mean(encoder.chosen_),
        "interactions": _crosses(encoder.crossing_),
        "asked": {name: encoder.limits[name] for name in ("keep", "keep_by", "interactions")},
        "reduced": None if encoder.reducing is None else encoder.reducing.facts,
        "rare": _most(names, encoder.rare_),
        "shared": _most(names, encoder.shared_),
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
    told = _filled(found.get("imputation") or {})
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
