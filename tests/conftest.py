"""Homes of their own for every test; nothing leaves the temporary folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as a run has it; read when torch is imported

REPOSITORY = Path(__file__).resolve().parent.parent
REAL_DATA = os.environ.get("PENSTOCK_DATA", "")


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "PREFECT_API_URL", "PENSTOCK_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / ".prefect"))


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
def write_spec(tmp_path):
    """Write settings text into a folder of its own; return the path."""

    def write(text: str) -> Path:
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
