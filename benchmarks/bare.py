"""What a competent user would write by hand on the same stack: seven steps, one file.

- Load, analyze, scale, validate, split, train, register: no folds, no report, no ladder, no
  ensemble, no examination in a fresh process.
- `python benchmarks/bare.py FOLDER` keeps its state in FOLDER and prints the test AUC.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

HOME = Path(sys.argv[1]).resolve()
os.environ["PREFECT_HOME"] = str(HOME / "prefect")
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] = "true"
os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "90"
os.environ["DO_NOT_TRACK"] = "1"

import great_expectations as gx  # noqa: E402
import mlflow  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytorch_lightning as pl  # noqa: E402
import torch  # noqa: E402
from prefect import flow, task  # noqa: E402
from sklearn.datasets import load_breast_cancer  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402


class Net(pl.LightningModule):
    """A plain classifier."""

    def __init__(self, inputs: int) -> None:
        """Two hidden layers."""
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Linear(inputs, 64),
            torch.nn.ReLU(),
            torch.nn.Linear(64, 64),
            torch.nn.ReLU(),
            torch.nn.Linear(64, 2),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.body(x)

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        """Cross-entropy."""
        x, y = batch
        return torch.nn.functional.cross_entropy(self(x), y)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


@task
def load() -> pd.DataFrame:
    """Read the table."""
    return load_breast_cancer(as_frame=True).frame


@task
def analyze(frame: pd.DataFrame) -> pd.DataFrame:
    """Describe it."""
    return frame.describe()


@task
def validate(frame: pd.DataFrame) -> None:
    """Check it."""
    context = gx.get_context(mode="ephemeral")
    batch = (
        context.data_sources.add_pandas("p")
        .add_dataframe_asset("a")
        .add_batch_definition_whole_dataframe("b")
        .get_batch({"dataframe": frame})
    )
    rules = [gx.expectations.ExpectColumnValuesToNotBeNull(column=c) for c in frame.columns]
    if not batch.validate(gx.ExpectationSuite(name="s", expectations=rules)).success:
        raise ValueError("the data is bad")


@task
def split(frame: pd.DataFrame) -> list[np.ndarray]:
    """Choose sides and scale."""
    x, y = frame.drop(columns="target").to_numpy(), frame["target"].to_numpy()
    train, test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state=0, stratify=y)
    scaler = StandardScaler().fit(train)
    return [scaler.transform(train), scaler.transform(test), y_train, y_test]


@task
def train(sides: list[np.ndarray]) -> Net:
    """Fit for 40 epochs."""
    x = torch.tensor(sides[0], dtype=torch.float32)
    batches = DataLoader(TensorDataset(x, torch.tensor(sides[2])), batch_size=32, shuffle=True)
    net = Net(x.shape[1])
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    trainer = pl.Trainer(max_epochs=40, enable_checkpointing=False, accelerator="cpu", **quiet)
    trainer.fit(net, batches)
    return net.eval()


@task
def evaluate(net: Net, sides: list[np.ndarray]) -> float:
    """Measure on the test rows."""
    with torch.no_grad():
        logits = net(torch.tensor(sides[1], dtype=torch.float32))
    return float(roc_auc_score(sides[3], logits.softmax(1)[:, 1].numpy()))


@task
def register(net: Net, sides: list[np.ndarray], auc: float) -> None:
    """Log and register the model."""
    mlflow.set_tracking_uri(f"sqlite:///{HOME / 'mlflow.db'}")
    mlflow.set_experiment("bare")
    with mlflow.start_run():
        mlflow.log_metric("roc_auc", auc)
        example = sides[1][:2].astype(np.float32)
        mlflow.pytorch.log_model(
            net.body, name="model", input_example=example, registered_model_name="bare"
        )
        mlflow.MlflowClient().set_registered_model_alias("bare", "champion", "1")


@flow
def pipeline() -> float:
    """Seven steps."""
    frame = load()
    analyze(frame)
    validate(frame)
    sides = split(frame)
    net = train(sides)
    auc = evaluate(net, sides)
    register(net, sides, auc)
    return auc


if __name__ == "__main__":
    HOME.mkdir(parents=True, exist_ok=True)
    os.chdir(HOME)
    print(f"roc_auc {pipeline():.4f}")
