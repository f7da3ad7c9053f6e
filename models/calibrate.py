"""Probabilities that mean what they say: one scale and one bias per class, on validation rows.

- One form for all: p' = softmax(scale * log p + bias). With two classes this is Platt scaling of
  the logit (Platt, 1999), with bias 0 it is temperature scaling (Guo et al., ICML 2017).
- Used only where the cross-fitted gain in log loss exceeds one standard error.
- The validation predictions that come back are cross-fitted: no row helped to calibrate itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from models.ensemble import FLOOR, paired, parts, row_losses

SHRINK = 1e-3  # ridge on log(scale) and bias, per row: a class without rows keeps a finite bias
FEWEST = 50  # rows below which nothing is calibrated


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """p' = softmax(scale * log p + bias); `kind` "none" leaves probabilities as they are.

    `gain` is the cross-fitted fall in log loss, `standard_error` belongs to it; both are those of
    the best form that was tried, also where it was not used.
    """

    kind: Literal["none", "temperature", "platt", "bias"] = "none"
    scale: float = 1.0
    bias: np.ndarray = field(default_factory=lambda: np.zeros(0))
    gain: float = 0.0
    standard_error: float = 0.0

    @property
    def used(self) -> bool:
        """Whether probabilities are changed at all."""
        return self.kind != "none"

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Calibrate (N, K) probabilities; rows of NaN stay NaN."""
        return _softmax(self.scale, self.bias, probabilities) if self.used else probabilities

    def facts(self) -> dict[str, Any]:
        """Return the calibration as plain JSON."""
        return {
            "kind": self.kind,
            "scale": float(self.scale),
            "bias": [float(value) for value in self.bias],
            "gain": float(self.gain),
            "standard_error": float(self.standard_error),
        }


def calibrate(
    probabilities: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    *,
    part: np.ndarray | None = None,
) -> tuple[Calibration, np.ndarray]:
    """Fit a calibration of (N, K) probabilities to class codes (N,); choose its form or none.

    Returns the calibration fitted on all rows, and the cross-fitted predictions (N, K) that it
    gives for these very rows. Rows that hold NaN take no part and come back as NaN.
    """
    rows = np.isfinite(probabilities).all(axis=1)
    given, codes = probabilities[rows], np.asarray(target, dtype=np.int64)[rows]
    mass = np.asarray(weight, dtype=np.float64)[rows]
    part = parts(len(given)) if part is None else np.asarray(part)[rows]
    if len(given) < FEWEST or mass.sum() <= 0:
        return Calibration(), probabilities
    forms = ("platt",) if given.shape[1] == 2 else ("temperature", "bias")
    losses, best = row_losses(given, codes, "class"), given
    chosen, gain, error = "none", 0.0, 0.0
    plain = losses
    for form in forms:
        fitted = _crossfitted(form, given, codes, mass, part)
        after = row_losses(fitted, codes, "class")
        bought, noise = paired(losses, after, mass)
        if bought > noise:
            chosen, losses, best = form, after, fitted
        if chosen in ("none", form):
            gain, error = paired(plain, after, mass)
    crossfitted = np.full(probabilities.shape, np.nan)
    crossfitted[rows] = best
    if chosen == "none":
        return Calibration(gain=gain, standard_error=error), crossfitted
    scale, bias = _fit(chosen, given, codes, mass)
    return Calibration(
        kind=chosen,  # pyright: ignore[reportArgumentType] - one of `forms`
        scale=scale,
        bias=bias,
        gain=gain,
        standard_error=error,
    ), crossfitted


def _crossfitted(
    form: str, given: np.ndarray, codes: np.ndarray, mass: np.ndarray, part: np.ndarray
) -> np.ndarray:
    """Calibrate every row with parameters that were fitted without its part."""
    fitted = np.array(given, dtype=np.float64)
    for label in np.unique(part):
        inside = part == label
        if mass[~inside].sum() > 0:
            scale, bias = _fit(form, given[~inside], codes[~inside], mass[~inside])
            fitted[inside] = _softmax(scale, bias, given[inside])
    return fitted


def _softmax(scale: float, bias: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return softmax(scale * log p + bias) in float64."""
    scores = scale * np.log(np.clip(probabilities, FLOOR, 1.0)) + bias
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def _fit(
    form: str, given: np.ndarray, codes: np.ndarray, mass: np.ndarray
) -> tuple[float, np.ndarray]:
    """Minimise the weighted log loss over log(scale) and, for "platt" and "bias", K biases."""
    from scipy.optimize import minimize

    logs = np.log(np.clip(given, FLOOR, 1.0))
    classes, free = given.shape[1], form != "temperature"
    share = mass / mass.sum()
    shrink = SHRINK / len(given)
    truth = np.zeros_like(logs)
    truth[np.arange(len(codes)), codes] = 1.0

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the loss and its gradient."""
        scale = np.exp(parameters[0])
        bias = parameters[1:] if free else np.zeros(classes)
        fitted = _softmax(scale, bias, given)
        error = (fitted - truth) * share[:, None]
        picked = fitted[np.arange(len(codes)), codes]
        loss = -share @ np.log(np.clip(picked, 1e-300, 1.0))
        slope = np.concatenate(
            [[scale * np.sum(error * logs)], error.sum(axis=0)[: classes * free]]
        )
        return loss + shrink * parameters @ parameters, slope + 2.0 * shrink * parameters

    start = np.zeros(1 + classes * free)
    bounds = [(-3.0, 3.0)] + [(-10.0, 10.0)] * (classes * free)  # scale between 0.05 and 20
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(np.exp(found[0])), found[1:] if free else np.zeros(classes)
