"""Chained linear regressions that share one Gram matrix, by EM on a ridged normal distribution.

- The inverse of one covariance holds the regression of every column on all others; a sweep fills
  all cells by them and makes the covariance anew. Where the chain ends is the conditional mean,
  which `models/fill.py` reaches in a few passes: any column may lack cells when it serves.
- What filling hides of a column's variance is put back on the diagonal (Dempster et al., 1977).
- `copies` draws from the posterior by data augmentation (Schafer, 1997): m completed tables, for
  what needs the uncertainty of the filled cells too (Rubin's rules).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from models.impute_space import Arrays, finite, moved, standard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BLOCK = 1 << 12  # rows filled at a time: what that takes stays in the cache
PASSES = 16  # of conjugate gradients, at most
CLOSE = 0.02  # residual deviations: further passes that change less are not worth their time
PROBED = 2_000  # rows on which passes are counted
HUGE = 50_000_000  # cells from which single precision is used to learn


class Mice(Arrays):
    """`mice`: the mean of a normal distribution given what a row has, with a ridge.

    `ridge` is in variances of standardised columns; `sweeps` are of EM.
    """

    kind = "mice"

    def __init__(self, *, ridge: float = 1e-2, sweeps: int = 4, seed: int = 0) -> None:
        """Store the settings; `seed` is of `copies` alone."""
        super().__init__()
        self.ridge, self.sweeps, self.seed = ridge, sweeps, seed

    def fit(self, numbers: np.ndarray, hints: np.ndarray | None = None) -> Self:
        """Learn means and covariance of numbers and hints (N, k) from train rows."""
        space = standard(numbers)
        table = _Table(numbers, space, hints)
        self._normal = table.start(self.ridge)
        for _ in range(self.sweeps):
            self._normal = table.sweep(self._normal, self.ridge)
        passes = table.passes(self._normal)
        self._space, n = space, numbers.shape[1]
        mean, precision = self._normal
        scale = np.sqrt(np.diag(precision)[:n])
        shared = precision[:n, :n] / scale / scale[:, None]
        known = precision[n:, :n] / scale
        spread = np.where(space["factor"] > 0, 1 / np.maximum(space["factor"], 1e-300), 0.0)
        self.arrays = {
            **space,
            "center": np.clip(space["center"] + mean[:n] * spread, space["low"], space["high"]),
            "factor": space["factor"] * scale,
            "precision": np.ascontiguousarray(shared),
            "shift": -mean[n:] @ known,
            "hints": np.ascontiguousarray(known),
            "passes": np.array(passes, dtype=np.int64),
        }
        self.facts = {"passes": passes, "sweeps": self.sweeps, "ridge": self.ridge}
        return self

    def copies(
        self, numbers: np.ndarray, hints: np.ndarray | None = None, *, count: int, burn: int = 10
    ) -> Iterator[np.ndarray]:
        """Draw `count` completed tables; `burn` rounds lie before each, so that they differ.

        Each is a draw of the parameters given a completed table, then of the cells given them.
        """
        rng = np.random.default_rng(self.seed)
        numbers, space = finite(numbers), self._space
        absent = np.isnan(numbers)
        table = _Table(numbers, space, hints)
        spread = np.where(space["factor"] > 0, 1 / np.maximum(space["factor"], 1e-300), 0.0)
        normal = self._normal
        for _ in range(count):
            for _ in range(burn):
                table.draw(normal, rng)
                normal = table.posterior(rng, self.ridge)
            table.draw(normal, rng)
            drawn = table.z[:, : numbers.shape[1]] * spread + space["center"]
            yield np.where(absent, drawn, numbers)


class _Table:
    """Standardised numbers beside hints (N, n + k), filled where `absent` (N, n).

    It is made block by block, and is the only copy of the numbers that is as large as they are.
    """

    def __init__(
        self, numbers: np.ndarray, space: Mapping[str, np.ndarray], hints: np.ndarray | None
    ) -> None:
        rows, self.n = numbers.shape
        kind = np.float32 if numbers.size > HUGE else np.float64
        known = 0 if hints is None else hints.shape[1]
        self.z = np.empty((rows, self.n + known), dtype=kind)
        self.absent = np.empty(numbers.shape, dtype=bool)
        for part in _blocks(rows):
            cells = finite(numbers[part])
            self.absent[part] = np.isnan(cells)
            self.z[part, : self.n] = moved(cells, space)
            if hints is not None:
                self.z[part, self.n :] = hints[part]
        self.lacking = self.absent.mean(axis=0) if rows else np.zeros(self.n)
        self.rows = np.flatnonzero(self.absent.any(axis=1))

    def start(self, ridge: float) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and precision of what cells are there, pair by pair."""
        counts = np.zeros((self.z.shape[1], self.z.shape[1]))
        for part in _blocks(len(self.z)):
            there = np.ones(self.z[part].shape, dtype=self.z.dtype)
            there[:, : self.n] -= self.absent[part]
            counts += there.T @ there
        counts = np.maximum(counts, 1.0)
        covariance = _gram(self.z) / counts
        mean = self.z.sum(axis=0, dtype=np.float64) / np.diag(counts)
        covariance -= np.outer(mean, mean)
        values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
        # Pairs with different rows need not fit together: what is negative never was variance.
        covariance = (vectors * np.maximum(values, 0.0)) @ vectors.T
        return mean, _inverse(covariance, ridge)

    def sweep(
        self, normal: tuple[np.ndarray, np.ndarray], ridge: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fill all missing cells by their conditional mean; return the new mean and precision."""
        self._fill(normal, passes=4)
        mean, covariance = self._moments()
        hidden = self.lacking / np.diag(normal[1])[: self.n]
        covariance[np.arange(self.n), np.arange(self.n)] += hidden
        return mean, _inverse(covariance, ridge)

    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        mean = self.z.mean(axis=0, dtype=np.float64)
        return mean, _gram(self.z) / max(len(self.z), 1) - np.outer(mean, mean)

    def _fill(self, normal: tuple[np.ndarray, np.ndarray], *, passes: int) -> None:
        """Go `passes` steps from the present fill towards the conditional mean."""
        mean, precision = (part.astype(self.z.dtype) for part in normal)
        for start in range(0, len(self.rows), BLOCK):
            rows = self.rows[start : start + BLOCK]
            self.z[rows] = mean + conditional(
                self.z[rows] - mean, self.absent[rows], precision, passes=passes
            )

    def passes(self, normal: tuple[np.ndarray, np.ndarray]) -> int:
        """Return how many passes from nothing come close to where they lead, on probed rows."""
        places = np.unique(np.linspace(0, len(self.rows) - 1, PROBED).astype(int))
        rows = self.rows[places] if len(self.rows) else self.rows
        most = int(self.absent[rows].sum(axis=1).max(initial=1))
        mean, precision = normal
        z, absent = (self.z[rows] - mean).astype(np.float64), self.absent[rows]
        z[:, : self.n][absent] = 0.0
        scale = np.sqrt(np.diag(precision)[: self.n])
        wanted = conditional(z, absent, precision, passes=min(4 * PASSES, most))
        for passes in range(1, min(PASSES, most)):
            found = conditional(z, absent, precision, passes=passes)
            off = ((found - wanted)[:, : self.n] * scale)[absent]
            if np.sqrt(np.mean(off**2)) <= CLOSE:
                return passes
        return min(PASSES, most)

    def draw(self, normal: tuple[np.ndarray, np.ndarray], rng: np.random.Generator) -> None:
        """Draw all missing cells given the observed ones: a free draw, moved to fit these."""
        mean, precision = normal
        root = np.linalg.inv(np.linalg.cholesky(precision)).T  # root @ root.T = covariance
        for start in range(0, len(self.rows), BLOCK):
            rows = self.rows[start : start + BLOCK]
            free = mean + rng.standard_normal((len(rows), len(mean))) @ root.T
            z = self.z[rows] - free
            absent = self.absent[rows]
            z[:, : self.n][absent] = 0.0
            most = int(absent.sum(axis=1).max(initial=1))
            moved = conditional(z, absent, precision, passes=min(4 * PASSES, most))
            drawn = (free + moved)[:, : self.n]
            self.z[rows, : self.n] = np.where(absent, drawn, self.z[rows, : self.n])

    def posterior(self, rng: np.random.Generator, ridge: float) -> tuple[np.ndarray, np.ndarray]:
        """Draw mean and precision given the completed table: normal and Wishart."""
        rows, size = self.z.shape
        mean, covariance = self._moments()
        free = max(rows - 1, size)
        triangle = np.tril(rng.standard_normal((size, size)), -1)
        triangle[np.arange(size), np.arange(size)] = np.sqrt(rng.chisquare(free - np.arange(size)))
        root = np.linalg.cholesky(_inverse(covariance, ridge) / rows) @ triangle
        precision = root @ root.T
        spread = np.linalg.inv(np.linalg.cholesky(precision)).T
        return mean + spread @ rng.standard_normal(size) / np.sqrt(rows), precision


def conditional(
    z: np.ndarray, absent: np.ndarray, precision: np.ndarray, *, passes: int
) -> np.ndarray:
    """Step from z (N, p), centred, to the conditional mean where `absent` (N, n <= p).

    Conjugate gradients from where z is, in units in which the precision's diagonal is 1.
    """
    n = absent.shape[1]
    scale = np.sqrt(np.diag(precision))
    shared, missing = precision / scale / scale[:, None], absent.astype(z.dtype)
    found, inner = z * scale, shared[:n, :n]
    residual = -(found @ shared[:, :n]) * missing
    step = residual
    size = (residual * residual).sum(axis=1, keepdims=True)
    for _ in range(passes):
        gone = (step @ inner) * missing
        curve = (step * gone).sum(axis=1, keepdims=True)
        far = np.divide(size, curve, out=np.zeros_like(size), where=curve > 0)
        found[:, :n] += far * step
        residual = residual - far * gone
        left = (residual * residual).sum(axis=1, keepdims=True)
        step = residual + np.divide(left, size, out=np.zeros_like(size), where=size > 0) * step
        size = left
    return found / scale


def _gram(z: np.ndarray) -> np.ndarray:
    """Return z^T z in float64, summed block by block."""
    total = np.zeros((z.shape[1], z.shape[1]))
    for part in _blocks(len(z)):
        total += z[part].T @ z[part]
    return total


def _blocks(rows: int) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, rows, BLOCK)]


def _inverse(covariance: np.ndarray, ridge: float) -> np.ndarray:
    """Return the precision of a covariance with a ridge on its diagonal."""
    inverse = np.linalg.inv(covariance + ridge * np.eye(len(covariance)))
    return (inverse + inverse.T) / 2
