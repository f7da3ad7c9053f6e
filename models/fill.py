"""How learned imputers answer: missing numbers from what is there, every fold at once, in torch.

- An imputer is a dict of arrays, each with a leading fold axis F; `models/emit_fill.py` writes the
  same arithmetic as ONNX nodes.
- Numbers are held within the train rows' range and moved to their centre in float64; what comes
  back is held within that range too, so that no guess is further out than what was seen.
- Observed cells are never touched; only rows that lack a number cost anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from models.mish import mish

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    Arrays = Mapping[str, Tensor]

SPACE = ("center", "factor", "low", "high")
"""Arrays (F, n) of every imputer: z = (x - center) * factor, x held within [low, high]."""


def fill(
    kind: str,
    arrays: Arrays,
    numbers: Tensor,
    offset: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Fill float64 (N, n), NaN where missing -> (F, N, n).

    Args:
        kind: a key of KINDS.
        arrays: the imputer's, with a leading fold axis.
        numbers: float64 (N, n).
        offset: rows int64 (R,) -> (F, R, h), what their categories add; None: nothing.
    """
    folds = len(arrays["center"])
    absent = torch.isnan(numbers)
    rows = absent.any(dim=1).nonzero()[:, 0]
    out = numbers.expand(folds, *numbers.shape).clone()
    if len(rows):
        own = None if offset is None else offset(rows)
        out[:, rows] = _filled(kind, arrays, numbers[rows], absent[rows], own)
    return out


def _filled(
    kind: str, arrays: Arrays, numbers: Tensor, absent: Tensor, offset: Tensor | None
) -> Tensor:
    center, factor, low, high = (arrays[name][:, None, :] for name in SPACE)
    held = torch.where(absent, center, numbers)
    held = torch.minimum(torch.maximum(held, low), high)
    z = KINDS[kind](arrays, (held - center) * factor, absent, offset)
    spread = torch.where(factor > 0, 1.0 / factor.clamp(min=1e-300), torch.zeros_like(factor))
    guess = torch.minimum(torch.maximum(z * spread + center, low), high)
    return torch.where(absent, guess, numbers)


def linear(arrays: Arrays, z: Tensor, absent: Tensor, offset: Tensor | None) -> Tensor:
    """Return the mean of a normal distribution given the observed cells, (F, N, n) float64.

    That is where chained linear regressions end: the root of P_mm z_m = -(P_mo z_o + b). Passes of
    conjugate gradients lead there, and are exact once there were as many as a row lacks cells.

    `precision` (F, n, n) has a unit diagonal, `shift` (F, n) is constant, `passes` (F,) how many: a
    fold that needs fewer than others stands still.
    """
    precision, missing = arrays["precision"], absent.to(z.dtype)[None]
    against = torch.matmul(z, precision) + arrays["shift"][:, None, :]
    if offset is not None:
        against = against + offset
    residual = -against * missing
    step, found = residual, torch.zeros_like(z)
    size = (residual * residual).sum(dim=2, keepdim=True)
    for place in range(int(arrays["passes"].max())):
        goes = (arrays["passes"] > place)[:, None, None]
        moved = torch.matmul(step, precision) * missing
        curve = (step * moved).sum(dim=2, keepdim=True)
        far = torch.where(goes & (curve > 0), size / curve, torch.zeros_like(size))
        found = found + far * step
        residual = residual - far * moved
        left = (residual * residual).sum(dim=2, keepdim=True)
        step = residual + torch.where(size > 0, left / size, torch.zeros_like(size)) * step
        size = left
    return torch.where(absent, found, z)


def masked(arrays: Arrays, z: Tensor, absent: Tensor, offset: Tensor | None) -> Tensor:
    """Return a residual perceptron's guesses in float32, as float64 (F, N, n)."""
    h = mish(_entered(arrays, z, absent, offset))
    for layer in range(1, layers(arrays) - 1):
        h = h + mish(torch.baddbmm(arrays[f"b{layer}"][:, None, :], h, arrays[f"w{layer}"]))
    return _left(arrays, h).to(z.dtype)


def gain(arrays: Arrays, z: Tensor, absent: Tensor, offset: Tensor | None) -> Tensor:
    """Return a generator's guesses within 0 and 1 in float32, as float64 (F, N, n)."""
    h = torch.relu(_entered(arrays, z, absent, offset))
    for layer in range(1, layers(arrays) - 1):
        h = torch.relu(torch.baddbmm(arrays[f"b{layer}"][:, None, :], h, arrays[f"w{layer}"]))
    return torch.sigmoid(_left(arrays, h)).to(z.dtype)


def _entered(arrays: Arrays, z: Tensor, absent: Tensor, offset: Tensor | None) -> Tensor:
    """Return the first layer: observed values, which are observed, and what categories add."""
    there = (~absent).float().expand(z.shape)
    inputs = torch.cat([z.float() * there, there], dim=2)
    h = torch.baddbmm(arrays["b0"][:, None, :], inputs, arrays["w0"])
    return h if offset is None else h + offset


def _left(arrays: Arrays, h: Tensor) -> Tensor:
    last = layers(arrays) - 1
    return torch.baddbmm(arrays[f"b{last}"][:, None, :], h, arrays[f"w{last}"])


def layers(arrays: Mapping[str, object]) -> int:
    """Return how many products a network is made of."""
    return sum(name[0] == "w" and name[1:].isdigit() for name in arrays)


KINDS: dict[str, Callable[[Arrays, Tensor, Tensor, Tensor | None], Tensor]] = {
    "mice": linear,
    "masked": masked,
    "gain": gain,
}
"""Imputers that a graph can hold: arrays, z, absent, offset -> z where cells were missing."""
