"""How a population is trained: one frozen object, checked when made, with defaults by size.

- "auto" is resolved by the number of train rows only; `plan` says what came out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.networks import NETWORKS, MLPConfig
from models.population import Member

Auto = Literal["auto"]
EARLY = 8
"""Epochs after which a member that had its best early, on thousands of rows, is believed."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What "auto" came to for one table."""

    epochs: int
    batch: int
    steps: int
    patience: int
    least: int
    """Epochs that a member waits at least for a better one."""
    bins: int
    config: MLPConfig


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Settings of one training.

    Attributes:
        task: what is learned.
        network: a key of NETWORKS.
        members: seeds per fold.
        epochs: at most this many passes; "auto" by rows.
        batch: rows of one step; "auto" by rows.
        lr: peak learning rate of AdamW.
        weight_decay: decoupled, times the learning rate.
        dropout: share of hidden units silenced.
        width: units of a hidden layer; "auto" by rows.
        depth: hidden layers.
        embedding: of numbers.
        bins: of a piecewise-linear embedding; "auto" by rows.
        patience: epochs without improvement before a member stops; "auto": twice as many
            as its best took, within bounds by rows and epochs.
        class_weight: "balanced" gives every class the same total weight in the loss.
        log_target: learn log1p of the target; "auto" where its tail is heavy.
        label_smoothing: share of a label spread over all classes.
        seed: of everything random.
        precision: "double" for tests of exactness.
        device: "auto" takes a GPU where there is one.
    """

    task: Literal["binary", "multiclass", "regression"]
    network: str = "mlp"
    members: int = 4
    epochs: int | Auto = "auto"
    batch: int | Auto = "auto"
    lr: float = 2e-3
    weight_decay: float = 1e-2
    dropout: float = 0.1
    width: int | Auto = "auto"
    depth: int = 2
    embedding: Literal["piecewise", "periodic"] = "piecewise"
    bins: int | Auto = "auto"
    patience: int | Auto = "auto"
    class_weight: Literal["none", "balanced"] = "none"
    log_target: Auto | bool = "auto"
    label_smoothing: float = 0.0
    seed: int = 0
    precision: Literal["single", "double"] = "single"
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        """Refuse values that no training can honour."""
        choices = {
            "task": ("binary", "multiclass", "regression"),
            "network": tuple(NETWORKS),
            "embedding": ("piecewise", "periodic"),
            "class_weight": ("none", "balanced"),
            "log_target": ("auto", True, False),
            "precision": ("single", "double"),
            "device": ("auto", "cpu", "cuda"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                msg = f"{name} must be one of {allowed}, however: {getattr(self, name)!r}"
                raise ValueError(msg)
        for name in ("members", "epochs", "batch", "width", "depth", "bins", "patience"):
            value = getattr(self, name)
            if value != "auto" and not (isinstance(value, int) and value >= 1):
                msg = f"{name} must be a whole number of at least 1, however: {value!r}"
                raise ValueError(msg)
        if not 0 < self.lr < float("inf"):
            msg = f"lr must be above 0, however: {self.lr!r}"
            raise ValueError(msg)
        if not 0 <= self.weight_decay < float("inf"):
            msg = f"weight_decay must be at least 0, however: {self.weight_decay!r}"
            raise ValueError(msg)
        for name in ("dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                msg = f"{name} must lie within [0, 1), however: {getattr(self, name)!r}"
                raise ValueError(msg)

    def population(self, folds: int) -> list[Member]:
        """Return folds x seeds members, seed by seed."""
        return [
            Member(
                fold=fold,
                seed=self.seed * 1_000_003 + seed,
                lr=self.lr,
                weight_decay=self.weight_decay,
                dropout=self.dropout,
                label_smoothing=self.label_smoothing,
            )
            for seed in range(self.members)
            for fold in range(folds)
        ]

    def plan(self, rows: int) -> Plan:
        """Resolve every "auto" for a mean of `rows` train rows per fold."""
        small, middle = rows < 2_000, rows < 8_000
        batch = self.batch
        if batch == "auto":
            sizes = ((1_000, 64), (8_000, 128), (50_000, 256), (200_000, 512))
            batch = next((size for limit, size in sizes if rows < limit), 1024)
        batch = min(batch, rows)
        epochs = self.epochs
        if epochs == "auto":
            epochs = 60 if middle else 32 if rows < 100_000 else 16
        width = self.width
        if width == "auto":
            width = 96 if small else 256
        bins = self.bins
        if bins == "auto":
            bins = min(128, max(8, rows // 32))
        patience = self.patience
        if patience == "auto":
            patience = max(4, epochs // 6) if small else max(4, epochs // 4)
        early = self.patience == "auto" and not small
        return Plan(
            epochs=epochs,
            batch=batch,
            steps=max(1, round(rows / batch)),
            patience=patience,
            least=min(patience, EARLY) if early else patience,
            bins=bins if self.embedding == "piecewise" else 0,
            config=MLPConfig(
                width=width,
                depth=self.depth,
                embedding=self.embedding,
                number_size=8 if small else 12,
            ),
        )
