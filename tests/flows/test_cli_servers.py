"""`up`, `down` and `deploy` as people and schedulers meet them; no server is started here."""

import json
import os

import pytest
from typer.testing import CliRunner

from flows import servers
from flows.cli import app
from flows.home import open_home

SECRETS = (
    "PREFECT_SERVER_API_AUTH_STRING",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
)


@pytest.fixture(autouse=True)
def _no_credentials(own_environment, monkeypatch):
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def spec(tmp_path):
    def write(more=""):
        path = tmp_path / "spec.toml"
        text = "name = '작은 표'\n[data]\nsource = 'table.csv'\ntarget = 'y'\n"
        path.write_text(f"{text}{more}\n", "utf-8")
        return path

    return write


def ask(*arguments):
    """Call the command in this process; return exit code, standard output and error."""
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("detach", [[], ["--detach"]])
def test_servers_for_others_without_a_login_are_refused_by_the_names_of_what_is_missing(
    tmp_path, detach
):
    code, out, err = ask("up", "--host", "0.0.0.0", *detach)
    assert (code, out) == (2, "")
    assert all(name in err for name in SECRETS)
    assert "Traceback" not in err
    assert servers.recorded(tmp_path / ".penstock") is None


def test_the_settings_say_where_servers_listen_and_the_command_wins(spec, tmp_path):
    path = spec("[servers]\nhost = '0.0.0.0'")
    code, _, err = ask("up", path)
    assert (code, "servers on 0.0.0.0 must ask for credentials" in err) == (2, True)
    code, _, err = ask("up", path, "--host", "192.0.2.1")
    assert (code, "servers on 192.0.2.1 must ask" in err) == (2, True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("up none.toml", "none.toml"),
        ("up --prefect-port 70000", "--prefect-port"),
        ("up --runs 0", "--runs"),
        ("up --prefect-port 5001 --mlflow-port 5001", "found 5001 for both"),
        ("deploy none.toml", "none.toml"),
        ("deploy spec.toml --set schedule.cron=never", "schedule.cron: must be five cron fields"),
        ("deploy spec.toml --set schedule.timezone=Seoul", "did you mean Asia/Seoul?"),
    ],
)
def test_what_cannot_be_is_one_message_and_exit_code_2(spec, line, said):
    spec()
    code, out, err = ask(*line.split())
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize("detach", [[], ["--detach"]])
def test_servers_that_are_up_already_are_said_with_their_addresses(tmp_path, detach):
    from filelock import FileLock

    home = open_home(tmp_path)
    facts = {"supervisor": servers.identity(os.getpid()), "mlflow": "http://127.0.0.1:1"}
    servers.record(home.root, {**facts, "prefect": "http://127.0.0.1:2/api", "store": "home"})
    (home.root / "ports.json").write_text('{"prefect": 2, "mlflow": 1}')
    with FileLock(home.locks / "up.lock"):
        code, out, err = ask("up", *detach)
    assert (code, out) == (1, "")
    assert f"the servers of {home.root} are up already; `penstock down` stops them" in err
    assert "prefect  http://127.0.0.1:2/api" in err
    assert servers.living(home.root)
    assert json.loads((home.root / "ports.json").read_text()) == {"prefect": 2, "mlflow": 1}


def test_down_where_nothing_is_up_is_done_already(tmp_path):
    code, out, err = ask("down")
    assert (code, err) == (0, "")
    assert out == f"nothing was up in {tmp_path / '.penstock'}\n"
    assert list(tmp_path.iterdir()) == []  # nor is a home made for it


def test_down_knows_the_home_of_settings_elsewhere(spec, tmp_path, monkeypatch):
    path = spec()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert ask("down", path)[:2] == (0, f"nothing was up in {tmp_path / '.penstock'}\n")


def test_down_tidies_up_after_servers_whose_keeper_is_gone(tmp_path):
    home = open_home(tmp_path)
    gone = {**servers.identity(os.getpid()), "born": "long ago"}
    servers.record(home.root, {"supervisor": gone, "mlflow": "", "prefect": ""})
    code, out, _ = ask("down", "--json")
    assert code == 0
    assert json.loads(out) == {"home": str(home.root), "were_up": False, "said": []}
    assert servers.recorded(home.root) is None


def test_deploy_without_servers_says_the_next_step(spec):
    for more in ([], ["--remove"]):
        code, out, err = ask("deploy", spec(), *more)
        assert (code, out) == (1, "")
        assert "run `penstock up` in another terminal (or `penstock up --detach`)" in err
        assert "Traceback" not in err


def test_deploy_to_a_server_that_is_away_is_one_message(spec, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    code, out, err = ask("deploy", spec())
    assert (code, out) == (1, "")
    assert "the Prefect server at http://127.0.0.1:9/api must take a deployment, but:" in err
    assert "Traceback" not in err


def test_deploy_says_where_and_when_and_remove_takes_it_off(spec, prefect_server, tmp_path):
    path = spec('[schedule]\ncron = "0 3 * * *"\ntimezone = "Asia/Seoul"')
    code, out, err = ask("deploy", path, "--paused")
    assert (code, err) == (0, "")
    assert out.startswith("penstock/작은 표 is deployed to http://127.0.0.1:")
    assert "schedule  cron 0 3 * * * (Asia/Seoul)" in out
    assert ", paused" in out
    code, out, _ = ask("deploy", path, "--set", "schedule.overlap=skip", "--json")
    found = json.loads(out)
    assert (code, found["deployment"], found["paused"]) == (0, "penstock/작은 표", False)
    assert found["schedule"]["overlap"] == "skip"
    assert len(found["upcoming"]) == 3
    code, out, _ = ask("deploy", path, "--remove")
    assert (code, out) == (0, "penstock/작은 표 is removed; its past runs stay\n")
    code, _, err = ask("deploy", path, "--remove")
    assert (code, "must be deployed to be removed" in err) == (1, True)
