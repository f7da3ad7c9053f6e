"""The command as people and schedulers meet it: exit codes, one voice, one JSON value."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
import typer.main
from typer.testing import CliRunner

from flows.cli import app

PENSTOCK = Path(sys.executable).parent / "penstock"
COMMANDS = sorted(typer.main.get_command(app).commands)
NAME = "작은 표"


def ask(*arguments):
    """Call the command in this process; return exit code, standard output and error."""
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    return done.exit_code, done.stdout, done.stderr


def command(*arguments, **options):
    """Call the real command."""
    return subprocess.run(
        [PENSTOCK, *map(str, arguments)], capture_output=True, text=True, check=False, **options
    )


@pytest.fixture
def home(first_run, prefect_server, monkeypatch):
    monkeypatch.chdir(first_run.folder)
    return first_run


@pytest.fixture
def spec(tmp_path, table, monkeypatch):
    """Write settings and a table that passes, in the working directory."""
    monkeypatch.chdir(tmp_path)
    table(120).to_csv(tmp_path / "table.csv", index=False)
    path = tmp_path / "spec.toml"
    path.write_text('name = "표"\n[data]\nsource = "table.csv"\ntarget = "grade"\n', "utf-8")
    return path


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    code, out, _ = ask(name, "--help")
    assert code == 0
    assert "Usage" in out


def test_help_names_the_commands_that_work_and_imports_nothing_heavy(tmp_path):
    probe = (
        "import sys\nfrom flows.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit as end:\n"
        "    print([m for m in ('torch', 'mlflow', 'prefect', 'pandas') if m in sys.modules], end.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.stdout.splitlines()[-1] == "[] 0"
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("check none.toml", 2, "none.toml"),
        ("check spec.toml --set train.epoch=3", 2, "did you mean epochs?"),
        ("plan spec.toml --set split.test=2", 2, "split.test"),
        ("run spec.toml --set gate.mode=perhaps", 2, "gate.mode"),
        ("check spec.toml --set data.source=none.csv", 3, "none.csv"),
        ("check spec.toml --set data.target=grad", 3, "did you mean grade?"),
        ("score nobody spec.toml out.csv", 1, "'nobody' must be"),
        ("score nobody spec.toml out.xlsx", 2, "OUT must end in"),
        ("why nobody", 1, "'nobody' must be"),
        ("nonsense", 2, "No such command"),
        ("init none.csv --target y", 3, "none.csv"),
    ],
)
def test_an_error_is_one_message_with_its_exit_code(spec, line, code, said):
    found, out, err = ask(*line.split())
    assert found == code
    assert said in err
    assert out == ""
    assert "Traceback" not in err


def test_a_fault_of_ours_keeps_its_traceback_and_says_so(spec, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("inside")

    monkeypatch.setattr("flows.plan.planned", broken)
    code, out, err = ask("plan", spec)
    assert (code, out) == (1, "")
    assert "Traceback" in err
    assert "a fault of Penstock itself, nothing was published: ZeroDivisionError: inside" in err


@pytest.mark.parametrize(
    "line", ["check spec.toml --json", "plan spec.toml --json", "schema", "doctor --json"]
)
def test_json_is_one_value_alone_on_standard_output(spec, line):
    code, out, _ = ask(*line.split())
    assert code == 0
    assert json.loads(out)


def test_init_then_plan_then_check_say_the_next_step(spec):
    code, out, _ = ask("init", "table.csv", "--target", "grade")
    assert code == 0
    assert out.splitlines()[-1] == "next: penstock run table.toml"
    code, out, _ = ask("check", "table.toml")
    assert (code, "ready to train; 120 rows read, 0 quarantined" in out) == (0, True)
    code, out, _ = ask("plan", "table.toml")
    assert out.splitlines()[0].split()[:2] == ["load", "reused"]
    assert out.splitlines()[-1].split()[:2] == ["assess", "runs"]


def test_init_without_a_target_lists_the_columns(spec):
    code, out, err = ask("init", "table.csv")
    assert (code, out) == (2, "")
    assert "--target must name the column to predict (the columns are " in err


def test_init_looks_for_its_files_before_it_reads_the_data(spec):
    Path("table.toml").write_text("mine = 1\n", encoding="utf-8")
    Path("table.csv").write_text("", encoding="utf-8")
    code, _, err = ask("init", "table.csv", "--target", "grade")
    assert (code, Path("table.toml").read_text(encoding="utf-8")) == (2, "mine = 1\n")
    assert "--force overwrites" in err


def test_the_schema_is_that_of_the_settings(spec):
    import tomllib

    schema = json.loads(ask("schema")[1])
    jsonschema.validate(tomllib.loads(spec.read_text("utf-8")), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "a", "data": {"source": "x", "target": "y"}, "b": 1}, schema)


def test_a_run_that_is_rejected_exits_with_4_and_says_why(home):
    code, out, err = ask("run", "spec.toml", "--set", "gate.floors.roc_auc=0.999", "--json")
    summary = json.loads(out)
    assert (code, summary["verdict"]["outcome"]) == (4, "rejected")
    assert summary["verdict"]["sentence"].endswith("below the floor of 0.999.")
    assert "Traceback" not in err


def test_an_unchanged_run_exits_with_0_and_tells_a_person_where_to_look(home):
    ask("run", "spec.toml")
    code, out, err = ask("run", "spec.toml")
    assert code == 0
    first, *rest = out.splitlines()
    assert first.startswith(f"Unchanged: {NAME} version ")
    assert [line.split()[0] for line in rest] == ["load", "ladder", "report", "MLflow"]
    assert Path(rest[2].split(maxsplit=1)[1]).is_file()
    assert "reused" in err


def test_scoring_and_why_answer_from_the_command(home, table, tmp_path):
    table().drop(columns="grade").to_csv(tmp_path / "in.csv", index=False)
    code, out, _ = ask("score", f"{NAME}@champion", tmp_path / "in.csv", tmp_path / "out.csv")
    assert (code, out.startswith("240 rows scored by 작은 표 version ")) == (0, True)
    code, out, _ = ask("why", NAME, "--json")
    assert (code, json.loads(out)["model"]) == (0, NAME)


def test_another_run_of_the_name_is_said_to_be_under_way(home):
    from flows.home import open_home
    from flows.turns import one_run_at_a_time

    with one_run_at_a_time(open_home(home.folder), NAME):
        code, out, err = ask("run", "spec.toml")
    assert (code, out) == (1, "")
    assert f"another run of '{NAME}' is under way" in err


def test_clean_removes_what_can_be_made_again_and_says_how_much(spec):
    ask("check", spec)
    code, out, _ = ask("clean", "--cache")
    assert code == 0
    assert int(out.split()[1]) >= 6
    assert ask("plan", spec)[1].splitlines()[0].split()[:2] == ["load", "runs"]


def test_refused_data_is_one_message_from_the_real_command(tmp_path, prefect_server):
    (tmp_path / "table.csv").write_text("x,y\n" + "1,\n" * 50, encoding="utf-8")
    (tmp_path / "s.toml").write_text('name = "s"\n[data]\nsource = "table.csv"\ntarget = "y"\n')
    done = command("run", "s.toml", "--json", cwd=tmp_path)
    assert done.returncode == 3
    assert json.loads(done.stdout)["verdict"]["outcome"] == "refused"
    assert done.stderr.startswith("penstock: 50 of 50 rows (100.00%) break critical rules")
    assert "Traceback" not in done.stderr
    assert "ERROR" not in done.stderr


@pytest.mark.long
@pytest.mark.slow
def test_ctrl_c_ends_a_run_with_one_line_and_a_record(tmp_path, prefect_server):
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\n\ndef frame():\n"
        "    pathlib.Path(__file__).with_name('begun').touch()\n    time.sleep(60)\n"
    )
    (tmp_path / "s.toml").write_text('name = "s"\n[data]\nsource = "slow.py:frame"\ntarget = "y"\n')
    with subprocess.Popen(
        [PENSTOCK, "run", "s.toml"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
        start_new_session=True,
    ) as run:
        until = time.monotonic() + 60
        while not (tmp_path / "begun").exists() and time.monotonic() < until:
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=180)
    assert (run.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "penstock: interrupted; nothing was published"
    assert "Traceback" not in err
    (summary,) = tmp_path.glob(".penstock/runs/*/summary.json")
    verdict = json.loads(summary.read_text("utf-8"))["verdict"]
    assert verdict["outcome"] == "failed"
    assert "interrupted" in verdict["sentence"]


def test_a_reader_that_leaves_early_is_no_fault(tmp_path):
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {PENSTOCK} schema | head -c 1"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.stderr == ""
