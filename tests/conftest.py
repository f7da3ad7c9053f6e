"""Homes of their own for every test; nothing leaves the temporary folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as a run has it; read when torch is imported

REPOSITORY = Path(__file__).resolve().parent.parent
REAL_DATA = os.environ.get("PENSTOCK_DATA", "")


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "PREFECT_API_URL", "PENSTOCK_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / ".prefect"))


@pytest.fixture
def own_environment(_own_home, tmp_path, monkeypatch):
    """Look for homes in the test's folder alone; take back what opening one sets."""
    monkeypatch.chdir(tmp_path)
    before = set(os.environ)
    yield
    for name in set(os.environ) - before:
        del os.environ[name]


@pytest.fixture(scope="session")
def _prefect_url(tmp_path_factory):
    """Keep one real Prefect server for the session; runs find it as a team's runs find theirs."""
    from flows.home import open_home
    from flows.prefect_server import PrefectServer

    before = dict(os.environ)
    home = open_home(tmp_path_factory.mktemp("prefect"))
    with PrefectServer(home) as server:
        server.wait()
        url = server.url
        os.environ.clear()
        os.environ.update(before)
        yield url


@pytest.fixture
def prefect_server(_prefect_url, _own_home, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", _prefect_url)
    return _prefect_url


@pytest.fixture
def api(prefect_server):
    """Return a client of the real Prefect server."""
    from flows.interrupted import client

    with client(prefect_server) as asked:
        yield asked


@pytest.fixture
def write_spec(tmp_path):
    """Write settings text, and tables beside it, into a folder of its own; return the path."""

    def write(text: str, **tables: str) -> Path:
        for name, content in tables.items():
            (tmp_path / f"{name}.csv").write_text(content, encoding="utf-8")
        path = tmp_path / "spec.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real tables, or skip with the reason."""
    if not REAL_DATA or not Path(REAL_DATA).is_dir():
        pytest.skip("PENSTOCK_DATA does not name the folder of real tables")
    return Path(REAL_DATA).resolve()


SMALL = """
name = "작은 표"
[data]
source = "table.csv"
target = "grade"
[train]
members = 2
epochs = 6
width = 16
[gate]
floors = { roc_auc = 0.6 }
margin = 0.3
min_referee = 20
"""


def small_table(rows=240, seed=0):
    """Return a table with a number, a category with a hostile level, missing cells and a Korean name."""
    random = np.random.default_rng(seed)
    size, colour = random.normal(50, 10, rows), random.choice(["red", "green", "<b>파랑</b>"], rows)
    good = random.random(rows) < 1 / (1 + np.exp(-(size - 50) / 3 - 2 * (colour == "red") + 0.7))
    frame = pd.DataFrame(
        {"크기": size.round(2), "colour": colour, "grade": np.where(good, "yes", "no")}
    )
    frame.loc[::17, "크기"] = np.nan
    return frame


class SmallRuns:
    """Runs on the small table, in a home of their own."""

    def __init__(self, folder, rows=240):
        self.folder = folder
        (folder / "spec.toml").write_text(SMALL, encoding="utf-8")
        small_table(rows).to_csv(folder / "table.csv", index=False)

    def run(self, *overrides):
        from flows.launch import launch
        from flows.settings import load_spec

        return launch(load_spec(self.folder / "spec.toml", overrides), overrides, quiet=True)

    @property
    def client(self):
        from mlflow.tracking import MlflowClient

        return MlflowClient(f"sqlite:///{self.folder / '.penstock' / 'mlflow.db'}")

    def aliases(self):
        return {k: int(v) for k, v in self.client.get_registered_model("작은 표").aliases.items()}


@pytest.fixture
def small_settings():
    """The settings of the small table, as text."""
    return SMALL


@pytest.fixture
def table():
    """The maker of the small table."""
    return small_table


@pytest.fixture
def small_runs(prefect_server):
    """Make runs in a folder of one's own: `small_runs(folder).run()`."""
    return SmallRuns


@pytest.fixture(scope="session")
def first_run(tmp_path_factory, _prefect_url):
    """One whole run that many tests look at; it may have further versions, so read it only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_API_URL", _prefect_url)
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "PENSTOCK_HOME"):
            patch.delenv(name, raising=False)
        home = SmallRuns(tmp_path_factory.mktemp("home"))
        home.summary, home.error = home.run()
    assert home.error is None
    return home


@pytest.fixture(scope="module")
def module_runs(tmp_path_factory, _prefect_url):
    """Runs that the tests of one file make one after the other, in a home of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_API_URL", _prefect_url)
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "PENSTOCK_HOME"):
            patch.delenv(name, raising=False)
        yield lambda rows: SmallRuns(tmp_path_factory.mktemp("runs"), rows)


@pytest.fixture(scope="session")
def summary_schema():
    """Check a summary against the documented schema: `summary_schema.validate(summary)`."""
    import json

    import jsonschema

    schema = json.loads((REPOSITORY / "docs" / "summary.schema.json").read_text("utf-8"))
    return jsonschema.Draft202012Validator(schema)
