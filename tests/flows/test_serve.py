"""`penstock serve`: a real server on a real version, its example asked as printed, its end clean."""

import json
import os
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from flows.errors import PenstockError, SettingsError
from flows.serve import serve

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (
    "import typer; from flows import cli_models; app = typer.Typer(); cli_models.add_to(app); app()"
)


def started(home, *options):
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "serve", "작은 표@champion", "--json", *options],
        cwd=home.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = ""
    while not said.rstrip().endswith("}"):
        line = process.stdout.readline()
        assert line, process.stderr.read()
        said += line
    return process, json.loads(said)


@pytest.mark.slow
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        *(pytest.param(n, marks=pytest.mark.long) for n in (signal.SIGINT, signal.SIGKILL)),
    ],
)
def test_the_printed_example_is_answered_and_no_process_is_left(first_run, number):
    process, said = started(first_run)
    (server,) = psutil.Process(process.pid).children()
    assert said["version"] == first_run.aliases()["champion"]
    assert said["url"].startswith("http://127.0.0.1:")
    body = shlex.split(said["example"])[-1].encode()
    asked = urllib.request.Request(
        said["url"], data=body, headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:
        (row,) = json.load(answer)["predictions"]
    assert row["prediction"] in ("yes", "no")
    process.send_signal(number)
    process.wait(timeout=30)
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    server.wait(timeout=30)
    assert not server.is_running()


def test_another_address_than_loopback_needs_a_word(tmp_path):
    with pytest.raises(SettingsError, match=r"no passwords.*--anyone"):
        serve("m", tmp_path, host="0.0.0.0")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_none(own_environment, tmp_path, host):
    with pytest.raises(PenstockError, match="must be NAME"):
        serve("m", tmp_path, host=host)
