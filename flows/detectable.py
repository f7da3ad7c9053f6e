"""What the gate will be able to tell: the smallest margin that a test side of this size can show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flows.spec import Spec


def detectable(spec: Spec, checked: Mapping[str, Any]) -> str | None:
    """Say it in a line for `penstock init`; None where there would be next to no test rows.

    `checked` is what the stage `validate` found: rows that passed, task, rows per class.
    """
    from expectations.gate import deciding_metric
    from expectations.gate_rules import BOUNDED_MARGIN, UNBOUNDED_MARGIN
    from expectations.looks import tail_at
    from expectations.metrics import METRICS
    from expectations.power import smallest_margin
    from flows.judging import rules_of

    units = int(checked["passed"] * spec.split.test)
    if spec.split.by == "given" or units < spec.gate.min_referee:
        return None
    metric = deciding_metric(checked["task"], rules_of(spec))
    counts = (checked.get("classes") or {}).values()
    rarest = min(counts) / sum(counts) if counts else 0.5
    tail = tail_at(1, 1 - spec.gate.confidence)
    margin, assumed = smallest_margin(units, metric, tail=tail, positive=rarest)
    bounded = METRICS[metric].bounded
    default = BOUNDED_MARGIN if bounded else float(UNBOUNDED_MARGIN.removesuffix("%")) / 100
    least = f"{metric} {margin:.2g}" if bounded else f"{margin:.1%} of {metric}"
    asked = f"{default:g}" if bounded else UNBOUNDED_MARGIN
    text = f"about {units:,} test rows can show a retrain to be no worse by {least}"
    if margin > default:
        larger = f"{margin:.2g}" if bounded else f'"{margin:.2%}"'
        wish = f"gate.margin = {asked}, the default, will often stay inconclusive"
        return f"gate: {text} (given {assumed}); {wish}; {larger} would tell"
    return f"gate: {text} (given {assumed}); gate.margin is {asked}, the default"
