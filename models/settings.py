"""How a population is trained: one frozen object, checked when made, with defaults by size.

- "auto" is resolved by the family of networks and the number of train rows only; `plan` says what
  came out.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from models.balancing import KINDS
from models.networks import CONFIGS, NETWORKS, MLPConfig
from models.population import Member
from models.updates import PACE, UPDATES

Auto = Literal["auto"]
EARLY = 8
"""Epochs after which a member that had its best early, on thousands of rows, is believed."""
ENCODED = (
    "impute", "scale", "clip", "rare", "levels", "buckets", "drop_constant", "drop_correlated",
    "keep", "keep_by", "interactions", "reduce", "seed",
)  # fmt: skip
"""Settings of the encoder."""
WHOLE = ("members", "epochs", "batch", "width", "depth", "heads", "number_size", "bins", "patience")
SEEDS = 1_000_003  # between the seeds of one setting's members and those of the next
FAMILY: dict[str, dict[str, Any]] = {
    "mlp": {"lr": 2e-3, "weight_decay": 1e-2, "depth": 2},
    "tabm": {"lr": 2e-3, "weight_decay": 3e-4, "depth": 2},
}
"""What "auto" comes to for each family, whatever the rows."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What "auto" came to for one table."""

    epochs: int
    batch: int
    steps: int
    patience: int
    least: int
    """Epochs that a member waits at least for a better one."""
    lr: float
    weight_decay: float
    bins: int
    optimizer: str
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
        optimizer: a key of UPDATES.
        lr: peak learning rate; "auto" by family and optimizer.
        weight_decay: decoupled, times the learning rate; "auto" by family and optimizer.
        dropout: share of hidden units silenced.
        width: units of a hidden layer; "auto" by family and rows.
        depth: hidden layers; "auto" by family.
        activation: of hidden layers.
        heads: predictions per network (tabm); "auto" by rows.
        embedding: of numbers.
        number_size: units of a number's embedding; "auto" by rows.
        frequency_scale: of a periodic embedding.
        bins: of a piecewise-linear embedding; "auto" by rows.
        patience: epochs without improvement before a member stops; "auto": twice as many
            as its best took, within bounds by rows and epochs.
        class_weight: "balanced" gives every class the same total weight in the loss.
        balance: one of `models.balancing.KINDS`, how classes are balanced while it trains;
            probabilities are those of the true prior all the same.
        log_target: learn log1p of the target; "auto" where its tail is heavy.
        label_smoothing: share of a label spread over all classes.
        drop_outliers: widths from the median beyond which a train row is not learned from
            (`models/outliers.py`); None: all are.
        impute, scale, clip, rare, levels, buckets, drop_constant, drop_correlated, keep, keep_by,
            interactions, reduce: of the encoder (`models/encoding.py`).
        seed: of everything random.
        precision: "double" for tests of exactness.
        device: "auto" takes a GPU where there is one.
    """

    task: Literal["binary", "multiclass", "regression"]
    network: str = "mlp"
    members: int = 4
    epochs: int | Auto = "auto"
    batch: int | Auto = "auto"
    optimizer: Literal["adamw", "lion", "sgd"] = "adamw"
    lr: float | Auto = "auto"
    weight_decay: float | Auto = "auto"
    dropout: float = 0.1
    width: int | Auto = "auto"
    depth: int | Auto = "auto"
    activation: Literal["relu", "silu", "mish", "selu"] = "relu"
    heads: int | Auto = "auto"
    embedding: Literal["piecewise", "periodic", "none"] = "piecewise"
    number_size: int | Auto = "auto"
    frequency_scale: float = 0.05
    bins: int | Auto = "auto"
    patience: int | Auto = "auto"
    class_weight: Literal["none", "balanced"] = "none"
    balance: Literal["none", "under", "over", "weights", "stratify"] = "none"
    log_target: Auto | bool = "auto"
    label_smoothing: float = 0.0
    drop_outliers: float | None = None
    impute: str = "median"
    scale: str = "robust"
    clip: float = 0.0
    rare: int = 2
    levels: int = 1024
    buckets: int = 128
    drop_constant: float | None = None
    drop_correlated: float | None = None
    keep: int | None = None
    keep_by: str = "information"
    interactions: int = 0
    reduce: dict[str, Any] | None = None
    seed: int = 0
    precision: Literal["single", "double"] = "single"
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        """Refuse values that no training can honour."""
        choices = {
            "task": ("binary", "multiclass", "regression"),
            "network": tuple(NETWORKS),
            "optimizer": tuple(UPDATES),
            "activation": ("relu", "silu", "mish", "selu"),
            "embedding": ("piecewise", "periodic", "none"),
            "class_weight": ("none", "balanced"),
            "balance": KINDS,
            "log_target": ("auto", True, False),
            "precision": ("single", "double"),
            "device": ("auto", "cpu", "cuda"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                msg = f"{name} must be one of {allowed}, however: {getattr(self, name)!r}"
                raise ValueError(msg)
        if self.balance != "none" and self.task == "regression":
            msg = f"balance needs classes, however: the target is a number ({self.balance!r})"
            raise ValueError(msg)
        for name in WHOLE:
            value = getattr(self, name)
            if value != "auto" and not (isinstance(value, int) and value >= 1):
                msg = f"{name} must be a whole number of at least 1, however: {value!r}"
                raise ValueError(msg)
        self._check_rates()

    def _check_rates(self) -> None:
        for name in ("lr", "frequency_scale"):
            value = getattr(self, name)
            if value != "auto" and not 0 < value < float("inf"):
                msg = f"{name} must be above 0, however: {value!r}"
                raise ValueError(msg)
        if self.drop_outliers is not None and not 0 < self.drop_outliers < float("inf"):
            msg = f"drop_outliers must be above 0, however: {self.drop_outliers!r}"
            raise ValueError(msg)
        if self.weight_decay != "auto" and not 0 <= self.weight_decay < float("inf"):
            msg = f"weight_decay must be at least 0, however: {self.weight_decay!r}"
            raise ValueError(msg)
        for name in ("dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                msg = f"{name} must lie within [0, 1), however: {getattr(self, name)!r}"
                raise ValueError(msg)

    def population(self, folds: int, *, trial: int = 0, width: int | None = None) -> list[Member]:
        """Return folds x seeds members, seed by seed; `width`: their own within a wider network."""
        return [
            Member(
                fold=fold,
                seed=self.seed * SEEDS + seed,
                lr=self._of_family("lr"),
                weight_decay=self._of_family("weight_decay"),
                dropout=self.dropout,
                label_smoothing=self.label_smoothing,
                balanced=self._weighs and self.task != "regression",
                trial=trial,
                width=width,
            )
            for seed in range(self.members)
            for fold in range(folds)
        ]

    @property
    def _weighs(self) -> bool:
        """Whether every class has the same total weight in the loss."""
        return self.class_weight == "balanced" or self.balance == "weights"

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
        patience = self.patience
        if patience == "auto":
            patience = max(4, epochs // 6) if small else max(4, epochs // 4)
        early = self.patience == "auto" and not small
        bins = self.bins
        if bins == "auto":
            bins = min(128, max(8, rows // 32))
        return Plan(
            epochs=epochs,
            batch=batch,
            steps=max(1, round(rows / batch)),
            patience=patience,
            least=min(patience, EARLY) if early else patience,
            lr=self._of_family("lr"),
            weight_decay=self._of_family("weight_decay"),
            bins=bins if self.embedding == "piecewise" else 0,
            optimizer=self.optimizer,
            config=self._config(small=small),
        )

    def _of_family(self, name: Literal["lr", "weight_decay"]) -> float:
        """Resolve an "auto" that rests on family and optimizer alone."""
        value = getattr(self, name)
        if value != "auto":
            return value
        pace = PACE[self.optimizer]
        return FAMILY[self.network][name] * (pace if name == "lr" else 1 / pace)

    def _config(self, *, small: bool) -> MLPConfig:
        """Return the network's sizes."""
        tabm = self.network == "tabm"
        sizes: dict[str, Any] = {
            "width": (64 if small else 128) if tabm else (96 if small else 256),
            "depth": FAMILY[self.network]["depth"],
            "number_size": 8 if small else 12,
            "heads": 8 if small else 16,
        }
        kind = CONFIGS[self.network]
        given = {f.name: getattr(self, f.name) for f in fields(kind) if hasattr(self, f.name)}
        return kind(**{k: sizes[k] if v == "auto" else v for k, v in given.items()})
