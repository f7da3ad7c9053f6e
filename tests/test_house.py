"""The rules of the house hold, and a planted violation of each is seen to fail."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

PLANTED = [
    ("flows/load.py", "import torch"),
    ("flows/report.py", "import great_expectations"),
    ("flows/load.py", "import onnxruntime"),
    ("flows/load.py", "import mlflow"),
    ("flows/load.py", "import prefect"),
    ("flows/search.py", "import optuna"),
    ("flows/search.py", "import distributed"),
    ("models/encode.py", "import prefect"),
    ("models/encode.py", "import flows.errors"),
    ("models/encode.py", "import expectations.gate"),
    ("models/encode.py", "import mlflow"),
    ("models/networks.py", "import pytorch_lightning"),
    ("expectations/gate.py", "import models.served"),
    ("expectations/gate.py", "import torch"),
    ("expectations/gate.py", "import great_expectations"),
    ("models/served.py", "import models.encode"),
    ("models/served.py", "import torch"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("house")
    for name in ("flows", "models", "expectations"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def contracts(folder):
    return subprocess.run(
        [BIN / "lint-imports", "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(folder), "PATH": str(BIN)},
    )


def test_the_house_stands(copy):
    done = contracts(copy)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize(("file", "line"), PLANTED, ids=[f"{f}: {x}" for f, x in PLANTED])
def test_a_planted_import_breaks_a_contract(copy, file, line):
    path = copy / file
    before = path.read_text("utf-8")
    path.write_text(
        before.replace(
            "from __future__ import annotations\n", f"from __future__ import annotations\n{line}\n"
        )
    )
    try:
        done = contracts(copy)
    finally:
        path.write_text(before, encoding="utf-8")
    assert done.returncode != 0
    assert "BROKEN" in done.stdout


@pytest.mark.parametrize(
    ("code", "rule"), [("import pickle\n", "TID251"), ("def f(x):\n    return x\n", "ANN")]
)
def test_ruff_sees_a_planted_violation(code, rule):
    done = subprocess.run(
        [BIN / "ruff", "check", "--stdin-filename", "flows/planted.py", "-"],
        cwd=ROOT,
        input=code,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert rule in done.stdout


def test_a_wheel_holds_metadata_only(tmp_path):
    subprocess.run(
        [sys.executable, "-c", f"import hatchling.build as b; b.build_wheel({str(tmp_path)!r})"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert all(".dist-info/" in name for name in names), names


def test_tests_have_no_packages():
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_importing_does_nothing_heavy():
    code = "import sys, flows.cli; print([m for m in ('torch','mlflow','prefect','pandas','rich') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_every_requirement_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    wanted += (
        project["optional-dependencies"]["postgres"] + project["optional-dependencies"]["dask"]
    )
    names = {re.split(r"[\[<>=]", w)[0].strip().lower() for w in wanted} - {project["name"]}
    assert names <= pinned, names - pinned


def test_every_sibling_of_what_is_served_is_forbidden_to_it():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (served,) = [c for c in contracts if "models.served" in c["source_modules"]]
    siblings = {f"models.{p.stem}" for p in (ROOT / "models").glob("*.py") if p.stem != "__init__"}
    assert siblings - set(served["source_modules"]) == {
        m for m in served["forbidden_modules"] if m.startswith("models.")
    }
