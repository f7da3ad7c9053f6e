"""What may pass by itself, by the errors that real libraries raise at real servers."""

import contextlib
import http.server
import socket
import sqlite3
import threading
import time
import urllib.request

import httpx
import pytest
import requests

from flows.errors import DataRefused, OutOfTime, PenstockError
from flows.transient import is_transient, retried


class Server(http.server.BaseHTTPRequestHandler):
    """Answers /503 with 503, /cut with nothing at all and /late late."""

    def do_GET(self):
        what = self.path.strip("/").partition("/")[0]
        if what == "late":
            time.sleep(1)
        if what == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(int(what) if what.isdigit() else 200)
        self.end_headers()
        with contextlib.suppress(OSError):  # who asked for /late has left
            self.wfile.write(b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "m"}')

    do_POST = do_GET  # noqa: N815 - the library's name

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def url():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def closed():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def error_of(call):
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever the library raises
        return error
    raise AssertionError("no error")


def by_urllib(address):
    urllib.request.urlopen(address, timeout=0.3).close()


def by_requests(address):
    requests.get(address, timeout=0.3).raise_for_status()


def by_httpx(address):
    httpx.get(address, timeout=0.3).raise_for_status()


@pytest.mark.parametrize("get", [by_urllib, by_requests, by_httpx])
def test_a_server_that_is_away_or_busy_may_come_back(url, closed, get):
    assert is_transient(error_of(lambda: get(closed)))
    for what in ("503", "429", "late", "cut"):
        assert is_transient(error_of(lambda what=what: get(f"{url}/{what}"))), what


@pytest.mark.parametrize("get", [by_urllib, by_requests, by_httpx])
def test_a_server_that_refuses_does_so_again(url, get):
    for what in ("400", "401", "404"):
        assert not is_transient(error_of(lambda what=what: get(f"{url}/{what}"))), what


def test_mlflow_away_or_busy_may_come_back_and_mlflow_that_refuses_does_not(
    url, closed, monkeypatch
):
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for address in (closed, f"{url}/503"):
        assert is_transient(error_of(MlflowClient(address).search_experiments)), address
    for what in ("401", "404"):
        assert not is_transient(error_of(MlflowClient(f"{url}/{what}").search_experiments)), what


def test_a_database_that_is_locked_may_be_free_later(tmp_path):
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as first:
        first.execute("create table t (x)")
        first.execute("begin exclusive")
        second = sqlite3.connect(path, timeout=0)
        assert is_transient(error_of(lambda: second.execute("select * from t")))
        second.close()
    first.close()


def test_errors_of_a_database_s_library_are_known_by_their_family():
    psycopg = pytest.importorskip("psycopg")
    assert is_transient(psycopg.errors.AdminShutdown("terminating connection"))
    assert not is_transient(psycopg.errors.UndefinedTable("no such table"))


def test_a_name_that_cannot_be_looked_up_now_may_be_later():
    assert is_transient(socket.gaierror(socket.EAI_AGAIN, "try again"))
    assert not is_transient(socket.gaierror(socket.EAI_NONAME, "unknown"))


def test_what_is_wrong_stays_wrong(tmp_path):
    for call in (
        (tmp_path / "none").read_text,
        lambda: int("x"),
        lambda: {}["x"],
        lambda: 1 / 0,
    ):
        assert not is_transient(error_of(call))
    assert not is_transient(PenstockError("error code 503"))
    assert not is_transient(OutOfTime("too long"))


def test_an_error_of_ours_passes_where_what_it_came_of_does():
    def refused(**how):
        try:
            socket.create_connection(("127.0.0.1", 9), timeout=1)
        except OSError as error:
            raise DataRefused("the source is away") from (error if how["said"] else None)

    assert is_transient(error_of(lambda: refused(said=True)))
    assert is_transient(error_of(lambda: refused(said=False)))


def test_errors_that_came_of_each_other_end():
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert not is_transient(first)


def test_prefect_is_told_whether_to_try_again():
    from prefect.states import Completed, Failed

    assert retried(None, None, Failed(data=ConnectionResetError("away")))
    assert not retried(None, None, Failed(data=ValueError("wrong")))
    assert not retried(None, None, Failed(message="no more is known"))
    assert not retried(None, None, Completed(data="fine"))
