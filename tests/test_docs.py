"""The documents say what is true."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from flows.cli import app

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


def blocks(kind):
    text = (ROOT / "README.md").read_text("utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_settings_are_documented_as_they_are():
    page = runpy.run_path(str(ROOT / "docs" / "make_settings.py"))["page"]()
    assert (ROOT / "docs" / "settings.md").read_text("utf-8") == page


def test_the_summary_is_documented_as_its_schema_says():
    page = runpy.run_path(str(ROOT / "docs" / "make_summary.py"))["page"]()
    assert (ROOT / "docs" / "summary.md").read_text("utf-8") == page


def test_the_summary_s_example_is_one_and_names_no_machine(summary_schema):
    text = (ROOT / "docs" / "summary.example.json").read_text("utf-8")
    example = json.loads(text)
    summary_schema.validate(example)
    assert example["verdict"]["outcome"] == "promoted"
    assert set(re.findall(r"/(?:home|tmp|root|work)[^\"' ]*", text)) <= set(
        re.findall(r"/home/you/examples[^\"' ]*", text)
    )


@pytest.mark.slow
def test_what_runs_write_is_what_is_documented(summary_schema, first_run):
    example = json.loads((ROOT / "docs" / "summary.example.json").read_text("utf-8"))
    for path in first_run.folder.glob(".penstock/runs/*/summary.json"):
        summary = json.loads(path.read_text("utf-8"))
        summary_schema.validate(summary)
        assert list(summary) == list(example)
        for part in ("verdict", "registered", "contract", "digests", "links", "settings"):
            assert list(summary[part] or ()) == list(example[part])[: len(summary[part] or ())]
    for part, found in first_run.summary.items():
        if part not in ("folder", "metrics", "versions", "blessings") and isinstance(found, dict):
            assert list(found) == list(example[part]), part
    searched = [s["name"] for s in example["stages"]]  # the first run has no [sweep]
    assert [s["name"] for s in first_run.summary["stages"]] == [
        name for name in searched if name != "sweep"
    ]


@pytest.mark.parametrize("command", sorted(typer.main.get_command(app).commands))
def test_every_command_is_documented_and_has_help(command):
    assert f"`penstock {command}" in (ROOT / "docs" / "commands.md").read_text("utf-8")
    done = subprocess.run(
        [BIN / "penstock", command, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0


@pytest.mark.parametrize("code", ["0", "1", "2", "3", "4"])
def test_every_exit_code_is_documented(code):
    assert f"| {code} |" in (ROOT / "docs" / "commands.md").read_text("utf-8")


def test_links_lead_somewhere():
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
    ):
        for link in re.findall(r"\]\(([^)#:]+)\)", (ROOT / name).read_text("utf-8")):
            assert ((ROOT / name).parent / link).exists(), f"{name}: {link}"


@pytest.mark.ci
def test_the_readme_s_commands_run(tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    for block in blocks("bash"):
        done = subprocess.run(
            ["bash", "-euc", block],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    for block in blocks("python"):
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "prediction" in done.stdout


EXAMPLES = {p.stem for p in (ROOT / "examples").glob("*.toml") if ".contract" not in p.name}


@pytest.mark.ci
@pytest.mark.parametrize("example", sorted(EXAMPLES - {"breast_cancer"}))  # `make run` runs it
def test_every_example_ends_with_a_champion(example, tmp_path, prefect_server):
    import shutil

    from flows.launch import launch
    from flows.settings import load_spec

    for path in (ROOT / "examples").glob("*"):
        if path.is_file() and ".contract" not in path.name:
            shutil.copy(path, tmp_path)
    summary, error = launch(load_spec(tmp_path / f"{example}.toml"), [], quiet=True)
    assert error is None
    assert summary["verdict"]["outcome"] == "promoted", summary["verdict"]
