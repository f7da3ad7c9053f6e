"""The sweep that a competent user would write: Optuna, Lightning and MLflow, trial after trial.

- Rows are tensors in memory, shuffled once per epoch and cut into slices: no per-sample collate, no
  `self.log` in a step; one `log_batch` per epoch and trial; AdamW in one fused pass.
- Reads `rows.npz` and `wish.json` of FOLDER, says "ready", waits for a line, sweeps, and prints one
  JSON object. Several processes with the same FOLDER share the study through Optuna's journal.
- `python benchmarks/sweep_peer.py FOLDER` is started by `benchmarks/sweep.py`.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import time
import warnings
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
import optuna
import pytorch_lightning as pl
import torch
from mlflow.entities import Metric, Param
from optuna.storages.journal import JournalFileBackend
from torch import Tensor, nn
from torch.nn.functional import mse_loss

if TYPE_CHECKING:
    from collections.abc import Iterator


class Batches:
    """An epoch's shuffled batches of tensors in memory."""

    def __init__(self, x: Tensor, y: Tensor, batch: int, *, shuffle: bool = True) -> None:
        """Serve rows of `x` and `y`."""
        self.x, self.y, self.batch, self.shuffle = x, y, batch, shuffle

    def __len__(self) -> int:
        """Number of batches."""
        return math.ceil(len(self.x) / self.batch)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Shuffle once, then cut."""
        x, y = self.x, self.y
        if self.shuffle:
            order = torch.randperm(len(x))
            x, y = x[order], y[order]
        return zip(x.split(self.batch), y.split(self.batch), strict=True)


class Net(pl.LightningModule):
    """A plain network with dropout and the schedule of its optimizer."""

    def __init__(self, inputs: int, params: dict[str, Any], steps: int) -> None:
        """Build it; `steps` is the length of the schedule."""
        super().__init__()
        sizes = [inputs, *[params["width"]] * params["depth"]]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU(), nn.Dropout(params["dropout"])]
        self.net = nn.Sequential(*layers, nn.Linear(sizes[-1], 1))
        self.params, self.steps = params, steps
        self.train_loss = torch.zeros(())
        self.losses: list[float] = []

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; its rate is set in every step."""
        self.optimizer = torch.optim.AdamW(
            self.parameters(),
            lr=self.params["lr"],
            weight_decay=self.params["weight_decay"],
            fused=True,
        )
        return self.optimizer

    def on_train_epoch_start(self) -> None:
        """Clear the epoch's sum."""
        self.train_loss = torch.zeros(())

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Squared error; flat rate, then a cosine to zero."""
        done = max(0.0, (self.global_step / self.steps - 0.3) / 0.7)
        self.optimizer.param_groups[0]["lr"] = (
            self.params["lr"] * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        )
        x, y = batch
        loss = mse_loss(self.net(x).squeeze(1), y)
        self.train_loss += loss.detach()
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Keep the epoch's loss over all validation rows."""
        x, y = batch
        self.losses.append(float(mse_loss(self.net(x).squeeze(1), y)))


class Recorder(pl.Callback):
    """Writes an epoch to MLflow in one call, reports it to Optuna and stops bad trials."""

    def __init__(self, trial: optuna.Trial, client: Any, run: str, *, prune: bool) -> None:
        """Record `trial` in `run`; `client` None: without MLflow."""
        self.trial, self.client, self.run, self.prune = trial, client, run, prune

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Record after validation, which Lightning runs before this."""
        epoch, loss = trainer.current_epoch, pl_module.losses[-1]
        if self.client is not None:
            now = int(time.time() * 1000)
            train = float(pl_module.train_loss) / int(trainer.num_training_batches)
            metrics = [
                Metric("train_loss", train, now, epoch),
                Metric("validation_loss", loss, now, epoch),
            ]
            self.client.log_batch(self.run, metrics=metrics)
        if self.prune:
            self.trial.report(loss, epoch + 1)
            if self.trial.should_prune():
                raise optuna.TrialPruned


class Sweep:
    """What a trial needs."""

    def __init__(self, folder: Path) -> None:
        """Read rows and wish; open the study and MLflow."""
        self.wish = json.loads((folder / "wish.json").read_text())
        rows = {k: torch.from_numpy(v) for k, v in np.load(folder / "rows.npz").items()}
        self.batches = Batches(rows["x_train"], rows["y_train"], self.wish["batch"])
        self.judged = Batches(rows["x_valid"], rows["y_valid"], 1 << 20, shuffle=False)
        self.client, self.experiment = None, ""
        if self.wish["tracking"]:
            self.client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
            known = self.client.get_experiment_by_name("peer")
            self.experiment = (
                known.experiment_id if known else self.client.create_experiment("peer")
            )
        many = self.wish["processes"] > 1
        backend = JournalFileBackend(str(folder / "study.log"))
        self.study = optuna.create_study(
            study_name="peer",
            storage=optuna.storages.JournalStorage(backend) if many else None,
            sampler=optuna.samplers.TPESampler(multivariate=True, constant_liar=many),
            pruner=self.pruner(),
            load_if_exists=True,
        )

    def pruner(self) -> optuna.pruners.BasePruner:
        """The pruner that was asked for."""
        if self.wish["pruner"] == "halving":
            return optuna.pruners.SuccessiveHalvingPruner(
                min_resource=self.wish["least"], reduction_factor=self.wish["factor"]
            )
        if self.wish["pruner"] == "median":
            return optuna.pruners.MedianPruner(n_startup_trials=5)
        return optuna.pruners.NopPruner()

    def objective(self, trial: optuna.Trial) -> float:
        """Train one network; return its best validation loss."""
        wish = self.wish
        if trial.number >= wish["trials"]:  # the other process took the last one
            self.study.stop()
            raise optuna.TrialPruned
        params = {
            "lr": trial.suggest_float("lr", *wish["lr"], log=True),
            "weight_decay": trial.suggest_float("weight_decay", *wish["weight_decay"], log=True),
            "dropout": trial.suggest_float("dropout", *wish["dropout"]),
            "width": trial.suggest_categorical("width", wish["width"]),
            "depth": trial.suggest_categorical("depth", wish["depth"]),
        }
        run = ""
        if self.client is not None:
            run = self.client.create_run(self.experiment, run_name=f"{trial.number}").info.run_id
            self.client.log_batch(run, params=[Param(k, str(v)) for k, v in params.items()])
        try:
            return self.fit(trial, params, run)
        finally:
            if self.client is not None:
                self.client.set_terminated(run)

    def fit(self, trial: optuna.Trial, params: dict[str, Any], run: str) -> float:
        """Train with Lightning, everything that writes turned off."""
        epochs = self.wish["epochs"]
        net = Net(self.batches.x.shape[1], params, epochs * len(self.batches))
        trainer = pl.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            callbacks=[Recorder(trial, self.client, run, prune=self.wish["pruner"] is not None)],
        )
        trainer.fit(net, self.batches, self.judged)
        return min(net.losses)


def main() -> None:
    """Sweep once told to."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    sweep = Sweep(Path(sys.argv[1]))
    torch.set_num_threads(sweep.wish["threads"])
    print("ready", flush=True)
    sys.stdin.readline()
    wall, cpu = time.perf_counter(), time.process_time()
    sweep.study.optimize(sweep.objective, n_trials=sweep.wish["trials"] + 1)
    spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    trials = [t for t in sweep.study.get_trials(deepcopy=False) if t.number < sweep.wish["trials"]]
    pruned = sum(t.state == optuna.trial.TrialState.PRUNED for t in trials)
    print(
        json.dumps(
            {**spent, "trials": len(trials), "pruned": pruned, "best": sweep.study.best_value}
        )
    )


if __name__ == "__main__":
    main()
