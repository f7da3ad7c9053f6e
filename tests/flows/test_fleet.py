"""Where servers listen, who may reach them, and what stands on their command lines."""

import json
import os
import socket
import sys
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

import pytest

from flows.errors import SettingsError
from flows.fleet import MARK, Fleet, Where
from flows.home import open_home

SECRETS = {
    "PREFECT_SERVER_API_AUTH_STRING": "lee:prefect-s3cret",
    "MLFLOW_TRACKING_USERNAME": "kim",
    "MLFLOW_TRACKING_PASSWORD": "mlflow-s3cret-long",
}


@pytest.fixture(autouse=True)
def _no_credentials(own_environment, monkeypatch):
    for name in (*SECRETS, "PREFECT_API_AUTH_STRING", "MLFLOW_BACKEND_STORE_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def with_login(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def listening(port=0, host="127.0.0.1"):
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind((host, port))
    taken.listen()
    return taken


def test_ports_differ_and_are_those_of_last_time(tmp_path):
    home = open_home(tmp_path)
    first = Fleet(home, Where())
    assert first.ports["prefect"] != first.ports["mlflow"]
    assert first.prefect_url == f"http://127.0.0.1:{first.ports['prefect']}/api"
    assert first.mlflow_url == f"http://127.0.0.1:{first.ports['mlflow']}"
    assert Fleet(home, Where()).ports == first.ports


def test_a_port_of_last_time_that_another_has_taken_is_left_to_it(tmp_path):
    home = open_home(tmp_path)
    first = Fleet(home, Where()).ports
    with listening(first["mlflow"]):
        second = Fleet(home, Where()).ports
    assert second["prefect"] == first["prefect"]
    assert second["mlflow"] not in first.values()
    assert Fleet(home, Where()).ports == second


@pytest.mark.parametrize("name", ["prefect", "mlflow"])
def test_a_port_that_was_asked_for_and_is_taken_is_refused_by_name(tmp_path, name):
    with listening() as taken:
        port = taken.getsockname()[1]
        said = f"port {port} of 127.0.0.1 must be free for the {name} server; it is in use"
        with pytest.raises(SettingsError, match=said):
            Fleet(open_home(tmp_path), Where(**{f"{name}_port": port}))


def test_the_same_port_for_both_is_refused(tmp_path):
    with listening() as taken:
        port = taken.getsockname()[1]
    with pytest.raises(SettingsError, match=f"must have a port each, found {port} for both"):
        Fleet(open_home(tmp_path), Where(prefect_port=port, mlflow_port=port))


def test_a_port_that_was_asked_for_wins_over_one_remembered_for_the_other(tmp_path):
    home = open_home(tmp_path)
    first = Fleet(home, Where()).ports
    swapped = Fleet(home, Where(mlflow_port=first["prefect"])).ports
    assert swapped["mlflow"] == first["prefect"]
    assert swapped["prefect"] != first["prefect"]


@pytest.mark.parametrize("left", ["", "{", "[]", '{"prefect": "x"}', '{"prefect": 99999}', "\x00"])
def test_ports_of_last_time_that_cannot_be_read_are_chosen_anew(tmp_path, left):
    home = open_home(tmp_path)
    (home.root / "ports.json").write_text(left)
    ports = Fleet(home, Where()).ports
    assert 0 < ports["prefect"] < 65536
    assert json.loads((home.root / "ports.json").read_text()) == ports


@pytest.mark.parametrize(
    ("host", "port"), [("203.0.113.9", None), ("203.0.113.9", 4200), ("no.such.invalid", None)]
)
def test_an_address_that_is_not_this_machine_s_is_said(tmp_path, with_login, host, port):
    with pytest.raises(SettingsError, match=f"must be able to listen at .*{host}, but: "):
        Fleet(open_home(tmp_path), Where(host=host, prefect_port=port))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.7.7", "", "example.org"])
@pytest.mark.parametrize("without", SECRETS)
def test_other_addresses_than_loopback_need_both_logins(monkeypatch, with_login, host, without):
    Where(host=host).check()
    monkeypatch.delenv(without)
    with pytest.raises(SettingsError, match=without):
        Where(host=host).check()


def test_what_is_missing_is_named_all_at_once_and_loopback_needs_nothing():
    for host in ("127.0.0.1", "localhost", "::1"):
        Where(host=host).check()
    with pytest.raises(SettingsError) as caught:
        Where(host="0.0.0.0").check()
    assert ", ".join(SECRETS) in str(caught.value)
    assert "leave --host out" in str(caught.value)


def test_half_a_login_is_refused_on_loopback_too(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "kim")
    with pytest.raises(SettingsError, match="MLFLOW_TRACKING_PASSWORD must be set"):
        Where().check()


def test_servers_on_any_address_are_reached_on_loopback(tmp_path, with_login):
    fleet = Fleet(open_home(tmp_path), Where(host="0.0.0.0"))
    assert fleet.mlflow_url == f"http://127.0.0.1:{fleet.ports['mlflow']}"
    assert "0.0.0.0" in fleet.prefect().command
    assert "0.0.0.0" in fleet.mlflow().command


def test_no_secret_stands_on_a_command_line_or_in_a_file_for_others(
    tmp_path, with_login, monkeypatch
):
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "postgresql://u:db-s3cret@127.0.0.1/m")
    home = open_home(tmp_path)
    fleet = Fleet(home, Where())
    for service in (fleet.prefect(), fleet.mlflow(), fleet.worker()):
        assert "s3cret" not in " ".join(service.command)
        assert service.environment["PREFECT_API_AUTH_STRING"] == "lee:prefect-s3cret"
    asked_of = fleet.prefect().environment["PREFECT_SERVER_API_AUTH_STRING"]
    assert asked_of == "lee:prefect-s3cret"
    assert "db-s3cret" not in str(fleet.worker().environment)  # nor do runs see the databases'
    asked = fleet.mlflow().environment
    assert asked["MLFLOW_AUTH_ADMIN_USERNAME"] == "kim"
    assert asked["MLFLOW_AUTH_ADMIN_PASSWORD"] == SECRETS["MLFLOW_TRACKING_PASSWORD"]
    assert asked["MLFLOW_BACKEND_STORE_URI"].startswith("postgresql://")
    key = home.root / "mlflow-secret"
    assert key.stat().st_mode & 0o777 == 0o600
    assert asked["MLFLOW_FLASK_SERVER_SECRET_KEY"] == key.read_text() != ""
    assert fleet.mlflow().environment["MLFLOW_FLASK_SERVER_SECRET_KEY"] == key.read_text()
    written = [p for p in home.root.rglob("*") if p.is_file() and b"s3cret" in p.read_bytes()]
    assert written == []


def test_the_home_s_own_database_and_files_are_served_unless_others_are_named(
    tmp_path, monkeypatch
):
    home = open_home(tmp_path)
    fleet = Fleet(home, Where())
    own = fleet.mlflow()
    assert fleet.store == "home"
    assert own.environment["MLFLOW_BACKEND_STORE_URI"] == home.database
    place = own.command.index("--default-artifact-root") + 1
    assert own.command[place] == home.artifacts.as_uri()
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "sqlite:////tmp/other.db")
    other = Fleet(home, Where())
    assert other.store == "server"
    assert other.mlflow().environment["MLFLOW_BACKEND_STORE_URI"] == "sqlite:////tmp/other.db"
    assert "--default-artifact-root" not in other.mlflow().command


def test_each_process_knows_its_home_and_no_other_servers(tmp_path, monkeypatch):
    home = open_home(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:2/api")
    fleet = Fleet(home, Where(runs=5))
    for service in (fleet.prefect(), fleet.mlflow(), fleet.worker()):
        assert service.environment[MARK] == service.environment["PENSTOCK_HOME"] == str(home.root)
        assert service.environment["PYTHONSAFEPATH"] == "1"
        assert "MLFLOW_TRACKING_URI" not in service.environment
        assert service.environment.get("PREFECT_API_URL") in (None, fleet.prefect_url)
        first = service.environment["PATH"].split(os.pathsep)[0]
        assert first == str(Path(sys.executable).parent)
    assert fleet.worker().command[fleet.worker().command.index("--limit") + 1] == "5"


def status(url, login=None):
    asked = urllib.request.Request(url)
    if login:
        asked.add_header("Authorization", f"Basic {b64encode(login.encode()).decode()}")
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.long
def test_servers_with_a_login_answer_nobody_without_it(tmp_path, with_login):
    home = open_home(tmp_path)
    fleet = Fleet(home, Where())
    kept = [fleet.prefect(), fleet.mlflow()]
    try:
        for service in kept:
            service.start()
        for service in kept:
            service.wait(print, threading.Event())
        experiments = f"{fleet.mlflow_url}/api/2.0/mlflow/experiments/get?experiment_id=0"
        pages = {
            f"{fleet.prefect_url}/flows/paginate": SECRETS["PREFECT_SERVER_API_AUTH_STRING"],
            experiments: "kim:mlflow-s3cret-long",
        }
        for url, login in pages.items():
            assert status(url) == 401
            assert status(url, "kim:wrong") == 401
            assert status(url, login) in (200, 405)  # the first takes POST alone
        said = "".join(service.log.read_text() for service in kept)
        assert "s3cret" not in said
    finally:
        for service in kept:
            service.end()
