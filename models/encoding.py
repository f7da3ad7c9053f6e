"""What an encoder has learned, and what it makes of rows: buffers that travel in the graph.

- Every buffer has a leading fold axis F.
- Numbers are filled, crossed, centred and scaled in float64 before any cast, then smoothly clipped
  (RealMLP); an indicator column says where train rows lack a number.
- Products and quotients of numbers may come beside them (`models/crossing.py`), and components may
  stand for all of these (`models/reducing.py`): what networks read as numbers is `entering` many.
- How it is learned is in `models/encode.py`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from models import levels, scaling
from models.bins import position
from models.crossing import Crossing
from models.filling import Filling
from models.reducing import Reducing
from models.table import Columns

if TYPE_CHECKING:
    import numpy as np

    from models.texts import Texts


class Encoding(nn.Module):
    """Numbers and codes -> the float32 values and fold-wise codes that networks take.

    Learned state: `median`, `center`, `factor`, `lacking`, `least`, `most` (F, n); `low` and `gain`
    (F, n, B), each bin's lower edge and one over its width in scaled units (0 = padding);
    `indicator` (m,) the number columns with an indicator; `known` (F, T) shared code -> the fold's;
    `categories_`, `rare_`, `dropped_`, `chosen_`, `crossing_`, `filling_` (JSON); `filling`, the
    learned imputer, None for medians; `crossing` and `reducing`, None where not asked for.
    """

    median: Tensor
    center: Tensor
    factor: Tensor
    lacking: Tensor
    least: Tensor
    most: Tensor
    low: Tensor
    gain: Tensor
    indicator: Tensor
    known: Tensor
    offset: Tensor

    def __init__(
        self,
        *,
        bins: int = 48,
        levels: int = 1024,
        rare: int = 2,
        buckets: int = 0,
        scale: str = "robust",
        clip: float = 0.0,
        impute: str = "median",
        drop_constant: float | None = None,
        drop_correlated: float | None = None,
        keep: int | None = None,
        keep_by: str = "information",
        interactions: int = 0,
        reduce: dict[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        """Store what is asked for.

        Args:
            bins: per number.
            levels: of a category that have a code of their own, at most.
            rare: train rows below which a level is unknown.
            buckets: codes that levels beyond share.
            scale: a key of `models.scaling.SCALES`.
            clip: share of train cells at either end beyond which numbers are held.
            impute: a name of `models.impute.SERVED`, or "auto".
            drop_constant: share of train rows with one value from which a column is dropped.
            drop_correlated: correlation from which one of two numbers is dropped.
            keep: columns that stay, at most, by what they say of the target.
            keep_by: a key of `models.telling.MEASURES`.
            interactions: products and quotients of numbers, at most.
            reduce: `kind` of components, their `size`, and whether they `join` the numbers.
            seed: of whatever is random.
        """
        super().__init__()
        self.limits: dict[str, Any] = {
            "bins": bins, "levels": levels, "rare": rare, "buckets": buckets, "scale": scale,
            "clip": clip, "impute": impute, "drop_constant": drop_constant,
            "drop_correlated": drop_correlated, "keep": keep, "keep_by": keep_by,
            "interactions": interactions, "reduce": reduce, "seed": seed,
        }  # fmt: skip
        self.bins = bins
        self.columns = Columns(numbers=(), categories=())
        self.categories_: list[levels.Column] = []
        self.rare_: list[list[int]] = []  # per fold and category: train rows sent to unknown
        self.shared_: list[list[int]] = []  # and those sent to a bucket
        self.dropped_: list[dict[str, str]] = []  # per fold: column -> why it says nothing
        self.chosen_: list[
            dict[str, float]
        ] = []  # per fold: column -> share of looks that chose it
        self.crossing_: list[list[dict[str, Any]]] = []  # per fold: crosses and what they explain
        self.filling_: dict[str, Any] = {}
        self.filling: Filling | None = None
        self.crossing: Crossing | None = None
        self.reducing: Reducing | None = None

    @property
    def sizes(self) -> list[int]:
        """Codes per category column, unknown, missing and buckets included."""
        return [column.size for column in self.categories_]

    @property
    def vocabulary_(self) -> list[list[str]]:
        """Per category, the levels that have a code of their own in some fold."""
        return [list(column.words) for column in self.categories_]

    def codes(self, categories: np.ndarray | Texts) -> Tensor:
        """Map strings (N, c) to shared codes int64 (N, c); the graph does it by LabelEncoder."""
        return torch.from_numpy(levels.codes_of(self.categories_, categories))

    def own(self, codes: Tensor) -> Tensor:
        """Return shared codes (N, c) as each fold's own, every column's in a range of its own."""
        places = codes + self.offset
        known = self.known.index_select(1, places.reshape(-1))
        return known.reshape(len(known), *codes.shape) + self.offset

    @property
    def entering(self) -> int:
        """How many numbers networks read: the table's, crosses, components."""
        numbers = len(self.columns.numbers)
        if self.crossing is not None:
            numbers += self.crossing.first.shape[1]
        if self.reducing is not None:
            numbers = self.reducing.factor.shape[1] + (numbers if self.reducing.join else 0)
        return numbers

    def filled(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Fill missing numbers and hold all within what `clip` left: float64 (N, n) -> (F, N, n)."""
        if self.filling is None:
            filled = torch.where(torch.isnan(numbers), self.median[:, None, :], numbers[None])
        else:
            filled = self.filling(numbers, self.own(codes))
        if self.limits["clip"]:
            filled = torch.minimum(filled, self.most[:, None, :])
            filled = torch.maximum(filled, self.least[:, None, :])
        return filled

    def scale(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Fill, cross, centre, scale, clip, reduce: float64 (N, n) -> float64 (F, N, v).

        All within (-3, 3); v is `entering`.
        """
        filled, factor = self.filled(numbers, codes), self.factor[:, None, :]
        scaled = scaling.squash((filled - self.center[:, None, :]) * factor, factor)
        if self.crossing is not None:
            scaled = torch.cat([scaled, self.crossing(filled)], dim=2)
        if (gain := self._buffers.get("rank_gain")) is not None:
            scaled = scaling.ranks(scaled.float(), self.get_buffer("rank_low"), gain).double()
        return scaled if self.reducing is None else self.reducing(scaled)

    def forward(self, numbers: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return values float32 (F, N, 2 v + m) and codes int64 (F, N, c) of every fold.

        The values are scaled numbers v, indicators m, and the numbers' positions among the bins v
        (none with `bins=0`): j + t is the share t of the way through bin j.

        Args:
            numbers: float64 (N, n), NaN where missing; any column may lack cells at serving.
            codes: int64 (N, c) shared codes.
        """
        absent = torch.isnan(numbers).index_select(1, self.indicator)
        flags = absent[None] & self.lacking.index_select(1, self.indicator)[:, None, :]
        scaled = self.scale(numbers, codes).float()
        parts = [scaled, flags.float()]
        if self.bins:
            parts.append(position(scaled, self.low, self.gain))
        values = torch.cat(parts, dim=2)
        return values, self.own(codes) - self.offset

    def describe(self) -> dict[str, object]:
        """Return the part of the state that is no tensor, as JSON."""
        return {
            "columns": {
                "numbers": list(self.columns.numbers),
                "categories": list(self.columns.categories),
            },
            "categories": [asdict(column) for column in self.categories_],
            "rare": self.rare_,
            "shared": self.shared_,
            "dropped": self.dropped_,
            "chosen": self.chosen_,
            "crossing": self.crossing_,
            "reducing": None if self.reducing is None else self.reducing.facts,
            "filling": self.filling_,
            "limits": self.limits,
        }

    @classmethod
    def restore(cls, described: dict[str, Any], tensors: dict[str, Tensor]) -> Self:
        """Rebuild an encoder from `describe()` and its `state_dict()`."""
        encoder = cls(**described["limits"])
        names = described["columns"]
        encoder.columns = Columns(
            numbers=tuple(names["numbers"]), categories=tuple(names["categories"])
        )
        encoder.categories_ = [
            levels.Column(
                words=tuple(each["words"]), hashed=tuple(each["hashed"]), buckets=each["buckets"]
            )
            for each in described["categories"]
        ]
        for name in ("rare", "shared", "dropped", "chosen", "crossing", "filling"):
            setattr(encoder, f"{name}_", described[name])
        if (kind := encoder.filling_["kind"]) != "median":
            encoder.filling = Filling(kind, encoder.filling_)
        if any(encoder.crossing_):
            encoder.crossing = Crossing()
        if described["reducing"]:
            encoder.reducing = Reducing(**described["limits"]["reduce"])
            encoder.reducing.facts = described["reducing"]
        for name, tensor in tensors.items():
            part, _, inner = name.rpartition(".")
            encoder.get_submodule(part).register_buffer(inner, tensor)
        return encoder
