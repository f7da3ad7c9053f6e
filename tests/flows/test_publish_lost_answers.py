"""A server that does what it is asked and whose answer is lost: nothing is made twice."""

import http.client
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from flows.home import open_home
from flows.publish import publish
from flows.registry import client
from flows.track import Tracker

CREATIONS = (
    "registered-models/create",
    "model-versions/create",
    "logged-models",
    "registered-models/alias",
    "registered-models/set-tag",
)


class Proxy(ThreadingHTTPServer):
    """Hands requests on; drops the answer to the first of each kind that is listed."""

    daemon_threads = True

    def __init__(self, target):
        super().__init__(("127.0.0.1", 0), Handler)
        self.target, self.lose, self.lost = urlsplit(target), [], []
        self.guard = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def loses(self, method, path):
        with self.guard:
            for kind in self.lose:
                if method == "POST" and path.endswith(kind):
                    self.lose.remove(kind)
                    self.lost.append(kind)
                    return True
        return False


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self):
        with suppress(ConnectionError):
            super().handle_one_request()

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {k: v for k, v in self.headers.items() if k not in ("Host", "Connection")}
        there = http.client.HTTPConnection(self.server.target.hostname, self.server.target.port)
        there.request(self.command, self.path, body, headers)
        answer = there.getresponse()
        content = answer.read()
        there.close()
        if self.server.loses(self.command, self.path.partition("?")[0]):
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815 - the library's names

    def log_message(self, *_):
        pass


@pytest.fixture
def proxy(tmp_path, make_mlflow_server, prefect_server, monkeypatch):
    (tmp_path / "server").mkdir()
    made = Proxy(make_mlflow_server(tmp_path / "server").url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", made.url)
    yield made
    made.shutdown()
    made.server_close()


@pytest.mark.slow
def test_no_model_version_or_alias_is_made_twice(proxy, tmp_path, desk_at, sound):
    desk = desk_at(open_home(tmp_path), "신용")
    for mark, number in (("1", 1), ("2", 3)):  # the number of a twin is not given again
        candidate = desk.candidate(mark, promote=True)
        run = desk.run()
        proxy.lose = list(CREATIONS)
        made = publish(desk.home, candidate, run, lambda: desk.examiner)
        assert (made.version, made.champion) == (number, number)
    again = [kind for kind in CREATIONS if kind != "registered-models/create"]
    assert sorted(proxy.lost) == sorted([*CREATIONS, *again])
    sound(desk, "신용", ["1" * 8, "2" * 8])


@pytest.mark.slow
def test_no_run_is_made_twice(proxy, tmp_path):
    proxy.lose = ["runs/create"]
    tracker = Tracker(open_home(tmp_path), "신용", "run-1")
    tracker.start({"penstock.run": "run-1", "penstock.name": "신용"})
    tracker.settle()
    proxy.lose = ["runs/create"]
    tracker.member(name="fold 0 seed 0", parameters={}, curves={"loss/train": [1.0]}, tags={})
    tracker.finish()
    tracker.close()
    assert proxy.lost == ["runs/create"] * 2
    reader = client(open_home(tmp_path))
    runs = reader.search_runs([tracker.experiment_id])
    names = sorted(run.data.tags["mlflow.runName"] for run in runs)
    assert names == ["fold 0 seed 0", "run-1"]
    assert {run.info.status for run in runs} == {"FINISHED"}
