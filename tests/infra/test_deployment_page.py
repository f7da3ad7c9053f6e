"""`docs/deployment.md` says what is true: its commands run, its files and variables are there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "deployment.md").read_text("utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_files_it_names_are_there():
    named = set(re.findall(r"\b(?:infra|docs|flows)/[\w.-]*\w", PAGE))
    assert {"infra/stack.py", "infra/compose.yaml", "infra/prefect.yaml"} <= named
    assert not [name for name in named - {"infra/.env"} if not (REPOSITORY / name).exists()]


@pytest.mark.long
def test_its_commands_run(stack, postgres_stack, outside, tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    (project / ".penstock").symlink_to(stack.home)
    for name in ("infra", "constraints.txt"):
        (project / name).symlink_to(REPOSITORY / name)
    (project / "credit.toml").write_text(
        '[data]\nsource = "x.csv"\ntarget = "y"\n', encoding="utf-8"
    )
    mlflow = f"{postgres_stack['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/experiments"
    who = tuple(postgres_stack[f"MLFLOW_TRACKING_{name}"] for name in ("USERNAME", "PASSWORD"))
    assert requests.post(f"{mlflow}/create", json={"name": "backed up"}, auth=who, timeout=60).ok
    script = "\n".join(block for block in BLOCKS if "pip install" not in block)
    upgrade = next(block for block in BLOCKS if "pip install" in block)
    script += upgrade.partition("\n")[2]  # what it installs is installed
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=project,
        env={
            **outside,
            "PATH": path,
            "PENSTOCK_HOME": str(stack.home),
            "PREFECT_HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project / "backup" / "mlflow.dump").stat().st_size > 10_000
    assert "penstock/kubernetes' successfully created" in done.stdout
    assert stack("status").returncode == 0
    found = requests.post(f"{mlflow}/search", json={"max_results": 50}, auth=who, timeout=60)
    assert "backed up" in {experiment["name"] for experiment in found.json()["experiments"]}
