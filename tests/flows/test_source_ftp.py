"""FTP against a real server on loopback."""

from __future__ import annotations

import threading

import pytest
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

from flows import source_ftp
from flows.data_spec import DataSpec
from flows.errors import DataRefused
from flows.fetch import forget
from flows.ports import free_port
from flows.transient import is_transient
from flows.union import read_source

CSV = "age,risk\n1,good\n2,bad\n"


@pytest.fixture
def ftp(tmp_path, monkeypatch):
    """A server whose user `kim` has the password `p@ss`; keeps which files it sent."""
    monkeypatch.setattr(source_ftp, "FIRST_WAIT", 0.01)
    forget()
    root = tmp_path / "ftp"
    root.mkdir()
    users = DummyAuthorizer()
    users.add_user("kim", "p@ss", str(root), perm="elr")

    class Handler(FTPHandler):
        authorizer = users
        banner = "ready"
        sent = []  # noqa: RUF012 - one server per test

        def on_file_sent(self, file):
            Handler.sent.append(file.rpartition("/")[2])

    server = FTPServer(("127.0.0.1", 0), Handler)
    server.root, server.sent = root, Handler.sent
    server.url = f"ftp://127.0.0.1:{server.address[1]}"
    over = threading.Event()

    def serve():
        while not over.is_set():
            server.serve_forever(timeout=0.02, blocking=False, handle_exit=False)
        server.close_all()

    thread = threading.Thread(target=serve)
    thread.start()
    yield server
    over.set()
    thread.join(10)


def read(folder, source):
    return read_source(source, DataSpec(source=source, target="risk"), folder)


def test_files_are_fetched_with_a_login_of_the_environment_and_only_when_changed(
    ftp, tmp_path, monkeypatch
):
    monkeypatch.setenv("FTP_USER", "kim")
    monkeypatch.setenv("FTP_PASSWORD", "p@ss")
    for name in ("a-1.csv", "a-2.csv", "b.csv"):
        (ftp.root / name).write_text(CSV)
    found = read(tmp_path, f"{ftp.url}/a-*.csv")
    assert found.frame["__source__"].unique().tolist() == ["a-1.csv", "a-2.csv"]
    assert ftp.sent == ["a-1.csv", "a-2.csv"]
    (ftp.root / "a-2.csv").write_text(CSV + "3,good\n")
    forget()
    assert len(read(tmp_path, f"{ftp.url}/a-*.csv").frame) == 5
    assert ftp.sent == ["a-1.csv", "a-2.csv", "a-2.csv"]


def test_a_whole_address_may_come_from_the_environment(ftp, tmp_path, monkeypatch):
    (ftp.root / "a.csv").write_text(CSV)
    monkeypatch.setenv("SHOP", ftp.url.replace("//", "//kim:p%40ss@") + "/a.csv")
    found = read(tmp_path, "${SHOP}")
    assert found.parts[0]["name"] == "${SHOP}"
    assert len(found.frame) == 2


def test_a_refused_login_and_a_missing_file_say_what_to_do_without_the_password(
    ftp, tmp_path, monkeypatch
):
    monkeypatch.setenv("SHOP", ftp.url.replace("//", "//kim:wr0ng-word@") + "/a.csv")
    with pytest.raises(DataRefused, match=r"\$\{SHOP\}: the server refuses: .*FTP_USER") as caught:
        read(tmp_path, "${SHOP}")
    assert "wr0ng-word" not in str(caught.value)
    monkeypatch.setenv("FTP_USER", "kim")
    monkeypatch.setenv("FTP_PASSWORD", "p@ss")
    with pytest.raises(DataRefused, match="correct the path"):
        read(tmp_path, f"{ftp.url}/none.csv")


def test_a_server_that_is_away_is_a_refusal_that_may_pass(tmp_path, monkeypatch):
    monkeypatch.setattr(source_ftp, "FIRST_WAIT", 0.01)
    with pytest.raises(DataRefused, match="could not be fetched in 4 tries") as caught:
        read(tmp_path, f"ftp://127.0.0.1:{free_port()}/a.csv")
    assert is_transient(caught.value)
