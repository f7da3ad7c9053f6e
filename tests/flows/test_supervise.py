"""Keeping processes: real ones that answer, fail, are killed, have children, and write too much."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from flows import servers, supervise
from flows.errors import PenstockError
from flows.ports import free_port
from flows.prefect_server import answers
from flows.supervise import Service, end_all, marked

ANSWERS = """
import http.server, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked", self.path, flush=True)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""
STAYS = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


@pytest.fixture
def service(tmp_path):
    """Make services that are ended with the test."""
    made = []

    def make(code, *arguments, healthy=lambda: False, **environment):
        command = [sys.executable, "-c", code, *map(str, arguments)]
        found = Service(
            name="page",
            title="page server",
            command=command,
            environment={**os.environ, **environment},
            healthy=healthy,
            log=tmp_path / "page.log",
        )
        made.append(found)
        return found

    yield make
    for each in made:
        each.end(seconds=0.1)


@pytest.fixture
def page(service):
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    return service(ANSWERS, port, healthy=lambda: answers(url)), url


def up(kept):
    said = []
    kept.start()
    kept.wait(said.append, threading.Event())
    return said


def until(true):
    end = time.monotonic() + 30
    while not (found := true()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def look_after_its_end(kept):
    """Let the keeper look once the process has ended; return what it said."""
    said = []
    os.waitid(os.P_PID, kept.process.pid, os.WEXITED | os.WNOWAIT)
    assert not kept.look(said.append)
    return said


def test_a_process_is_awaited_until_it_is_well_and_ends_with_all_that_it_started(page):
    kept, url = page
    said = up(kept)
    assert said[0].startswith("page server is up (")
    assert answers(url)
    assert servers.alive(kept.identity)
    child = servers.identity(int(kept.log.read_text().split()[1]))
    keeper = kept.identity
    kept.end()
    until(lambda: not servers.alive(child))
    assert not servers.alive(keeper)
    assert (kept.process, kept.identity) == (None, None)
    kept.end()  # what has ended stays so


def test_a_process_that_does_not_listen_is_made_to_end(service, tmp_path):
    code = f"from pathlib import Path\n{DEAF.replace('time.sleep', 'Path(sys.argv[1]).touch(); time.sleep')}"
    kept = service(f"import sys\n{code}", tmp_path / "deaf")
    kept.start()
    until((tmp_path / "deaf").exists)
    process = kept.process
    kept.end(seconds=0.2)
    assert process.returncode == -signal.SIGKILL


def test_one_that_ends_at_once_is_said_with_the_end_of_its_log(service):
    kept = service("print(*range(50), '끝', sep='\\n'); raise SystemExit(7)")
    kept.start()
    with pytest.raises(PenstockError) as caught:
        kept.wait(print, threading.Event())
    head, *lines = str(caught.value).splitlines()
    assert head == f"page server ended with code 7; the end of {kept.log}:"
    assert lines == [f"  {n}" for n in [*range(39, 50), "끝"]]


def test_another_that_answers_at_its_address_does_not_pass_for_it(service):
    kept = service("raise SystemExit(98)", healthy=lambda: True)
    kept.start()
    os.waitid(os.P_PID, kept.process.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(PenstockError, match="page server ended with code 98"):
        kept.wait(print, threading.Event())


def test_one_who_speaks_no_http_is_not_well(service):
    with socket.create_server(("127.0.0.1", 0)) as other:

        def babble():
            asked, _ = other.accept()
            with asked:
                asked.sendall(b"220 mail.example ready\r\n")

        threading.Thread(target=babble, daemon=True).start()
        assert not answers(f"http://127.0.0.1:{other.getsockname()[1]}/")


def test_one_that_never_answers_is_given_up(service, monkeypatch):
    monkeypatch.setattr(supervise, "START_SECONDS", 1.0)
    kept = service(STAYS)
    kept.start()
    with pytest.raises(PenstockError, match="page server did not answer within 1 s"):
        kept.wait(print, threading.Event())


def test_waiting_ends_when_the_keeper_is_told_to_stop(service):
    kept, stop, said = service(STAYS), threading.Event(), []
    kept.start()
    stop.set()
    kept.wait(said.append, stop)
    assert said == []


def test_one_that_is_killed_is_started_again_after_a_pause_that_doubles(page):
    kept, url = page
    up(kept)
    pauses = []
    for _ in range(3):
        child = servers.identity(int(kept.log.read_text().split("child")[-1].split()[0]))
        before = kept.identity
        kept.process.kill()
        pauses += look_after_its_end(kept)
        until(lambda gone=child: not servers.alive(gone))  # nothing of it stays behind
        assert kept.due > kept.began
        assert not kept.look(pauses.append)  # its pause is not over
        kept.due = 0
        assert kept.look(pauses.append)
        assert kept.identity != before
        until(lambda: answers(url))
    ended = "page server ended with code -9; it is started again in"
    assert pauses == [f"{ended} 1 s", f"{ended} 2 s", f"{ended} 4 s"]
    assert not kept.look(pauses.append)
    assert len(pauses) == 3


@pytest.mark.parametrize(
    ("before", "ran", "pause"), [(5, 0, 32), (6, 0, 60), (5000, 0, 60), (5000, 400, 1)]
)
def test_the_pause_stays_bounded_and_one_that_ran_long_starts_anew(service, before, ran, pause):
    kept = service("")
    kept.start()
    kept.ended, kept.began = before, kept.began - ran
    (said,) = look_after_its_end(kept)
    assert said.endswith(f"it is started again in {pause} s")


def test_one_that_cannot_be_started_is_tried_again(service, tmp_path):
    kept, said = service(STAYS), []
    kept.log = tmp_path / "none" / "page.log"
    assert not kept.look(said.append)
    assert said[0].startswith("page server could not be started ([Errno 2]")
    assert said[0].endswith("it is started again in 1 s")
    kept.log.parent.mkdir()
    kept.due = 0
    assert kept.look(said.append)


def test_one_that_stays_dumb_is_ended_and_one_that_answers_again_is_not(service):
    well = [False]
    kept, said = service(STAYS, healthy=lambda: well[0]), []
    kept.start()

    def asked(times):
        for _ in range(times):
            kept.asked -= supervise.HEALTH_EVERY + 1
            kept.look(said.append)

    asked(supervise.DUMB_TIMES - 1)
    well[0] = True
    asked(1)
    well[0] = False
    asked(supervise.DUMB_TIMES - 1)
    assert (said, kept.process.poll()) == ([], None)
    asked(1)
    assert said == ["page server has not answered for 180 s"]
    assert look_after_its_end(kept)[0].startswith("page server ended with code -9")


def test_a_log_that_has_grown_large_is_put_aside_and_goes_on_empty(page, monkeypatch):
    kept, url = page
    kept.log.write_text("of last time\n" * 300)
    monkeypatch.setattr(supervise, "LARGEST_LOG", 8_000)
    up(kept)  # 3,900 bytes are too many to begin with
    assert Path(kept.log.with_suffix(".1.log")).read_text() == "of last time\n" * 300
    with kept.log.open("ab") as log:
        log.write(b"long\n" * 2_000)
    kept.asked -= supervise.HEALTH_EVERY + 1
    kept.look(print)
    assert kept.log.with_suffix(".1.log").stat().st_size > 10_000
    urllib.request.urlopen(f"{url}after").close()
    assert until(kept.log.read_text) == "asked /after\n"


def test_processes_are_found_by_what_their_environment_says(service, tmp_path, monkeypatch):
    name = "PENSTOCK_TEST_MARK"
    kept = service(STAYS, **{name: str(tmp_path), "MORE": "말"})
    monkeypatch.setenv(name, str(tmp_path))  # this process is not among them
    kept.start()
    found = until(lambda: marked(name, str(tmp_path)))
    assert list(found) == [kept.process.pid]
    assert found[kept.process.pid]["MORE"] == "말"
    assert marked(name, str(tmp_path / "other")) == {}
    kept.process.kill()
    os.waitid(os.P_PID, kept.process.pid, os.WEXITED | os.WNOWAIT)
    assert marked(name, str(tmp_path)) == {}


def test_processes_of_others_are_ended_by_number_deaf_ones_too(tmp_path):
    code = (
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', sys.argv[1]], "
        "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)"
    )
    deaf = DEAF.replace("time.sleep", f"open({str(tmp_path / 'deaf')!r}, 'w'); time.sleep")
    numbers = [
        int(
            subprocess.run(
                [sys.executable, "-c", code, child], capture_output=True, check=True
            ).stdout
        )
        for child in (STAYS, deaf)
    ]
    known = [servers.identity(number) for number in numbers]
    until((tmp_path / "deaf").exists)
    assert all(map(servers.alive, known))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    end_all([gone.pid, *numbers], seconds=0.5)
    assert not any(map(servers.alive, known))
