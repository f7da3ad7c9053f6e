"""Real Dask clusters: the outcome is the local one, whoever dies, and nothing stays behind."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from flows import dask_client, dask_crew
from flows.dask_cluster import LOG, SCRATCH
from flows.dask_crew import DaskCrew
from flows.errors import PenstockError, SettingsError
from flows.home import open_home
from flows.json_files import read_json
from flows.maker import Maker
from flows.progress import Progress
from flows.settings import load_spec
from flows.stages import stages_of
from models.batch import train_batch
from models.crew import Crew
from models.encode import Columns, TrainingTable
from models.fit import encode
from models.fitted import Fitted
from models.halving import Halving
from models.phase import DONE
from models.remote import UnfitWorkerError, train_remotely
from models.settings import TrainSettings
from models.trials import Trial

ROOT = Path(__file__).resolve().parents[2]
HALVING = Halving(rungs=(2, 4), factor=2)
BASE = TrainSettings(task="regression", members=1, epochs=6, batch=32, bins=6)


def encoded():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(200, 3))
    letters = rng.choice(np.array(["a", "나", ""], object), (200, 1))
    table = TrainingTable(
        numbers=numbers,
        categories=letters,
        target=numbers[:, 0] + (letters[:, 0] == "a") + 0.2 * rng.normal(size=200),
        weight=np.ones(200),
        fold=np.arange(200) % 2,
        columns=Columns(numbers=("x", "y", "z"), categories=("c",)),
        classes=0,
    )
    return encode(table, BASE)


def trials(**more):
    shared = {"task": "regression", "members": 1, "epochs": 6, "batch": 32, "bins": 6, **more}
    return [
        Trial(number=n, settings=TrainSettings(**shared, width=w, depth=d, lr=lr, dropout=0.2))
        for n, (w, d, lr) in enumerate(
            [(6, 1, 1e-2), (12, 1, 1e-3), (6, 2, 3e-3), (12, 2, 1e-2), (12, 2, 1e-4), (6, 2, 1e-3)]
        )
    ]


def told(result):
    return [(r.number, r.state, r.rung, r.score, tuple(r.validation)) for r in result.results]


def predictions(result):
    found = {}
    for place in result.fitted:
        fitted = Fitted.load(place)
        for member in fitted.members:
            if member.setting >= 0 and member.fold == 0:
                found[member.settings["trial"]] = fitted.validation[member.setting]
    return found


def on_dask(folder, *, asked=None, progress=lambda _: None, **how):
    ready = encoded()
    with DaskCrew(ready, BASE, folder, **how) as crew:
        return train_batch(ready, asked or trials(), crew=crew, halving=HALVING, progress=progress)


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """What the crew of this process alone comes to."""
    ready = encoded()
    with Crew(ready, BASE, tmp_path_factory.mktemp("local")) as crew:
        return train_batch(ready, trials(), crew=crew, halving=HALVING)


@pytest.fixture(autouse=True)
def _divided(monkeypatch):
    monkeypatch.setattr("models.shapes.WORTH", 0.0)  # the jobs are small, but each counts


def below(pid):
    """The processes below one, itself included."""
    top = psutil.Process(pid)
    return [top, *top.children(recursive=True)]


def workers_of(pid):
    return [p for p in below(pid) if "--multiprocessing-fork" in p.cmdline()]


def ended(processes, seconds=30):
    """Whether all end within that time; one that nobody has asked about since has ended too."""
    until = time.monotonic() + seconds
    while alive := [p for p in processes if p.is_running() and _status(p) != "zombie"]:
        if time.monotonic() > until:
            return not alive
        time.sleep(0.05)
    return True


def _status(process):
    try:
        return process.status()
    except psutil.NoSuchProcess:
        return "zombie"


@pytest.mark.long
@pytest.mark.parametrize(
    "workers", [pytest.param(1, marks=pytest.mark.long), pytest.param(2, marks=pytest.mark.slow)]
)
def test_a_cluster_of_our_own_comes_to_what_the_local_crew_does(tmp_path, local, capfd, workers):
    before, heard, seen = dict(os.environ), [], []
    others = set(psutil.Process().children(recursive=True))  # such as the tests' Prefect server

    def progress(said):
        heard.append(said)
        if not seen:
            seen.extend(set(psutil.Process().children(recursive=True)) - others)
            assert len(workers_of(os.getpid())) == workers
            listening = [
                at.laddr.ip
                for process in seen
                for at in process.net_connections(kind="inet")
                if at.status == psutil.CONN_LISTEN
            ]
            assert set(listening) == {"127.0.0.1"}

    result = on_dask(tmp_path, workers=workers, progress=progress)
    assert told(result) == told(local)
    ours, theirs = predictions(result), predictions(local)
    assert ours.keys() == theirs.keys()
    for number, predicted in ours.items():
        np.testing.assert_array_equal(predicted, theirs[number])
    assert {said["until"] for said in heard} == {2, 4, 6}
    assert all(said["done"] < said["jobs"] for said in heard if "ended" not in said)
    assert any(said["done"] for said in heard)
    assert any(said["done"] == 0 and said["epoch"] for said in heard)  # a word within a job
    assert ended(seen)
    assert not (tmp_path / SCRATCH).exists()
    assert (tmp_path / LOG).is_file()
    assert capfd.readouterr() == ("", "")
    assert dict(os.environ) == before


@pytest.mark.long
@pytest.mark.slow
def test_a_worker_that_is_killed_in_its_job_costs_nothing_but_time(tmp_path, local, capfd):
    killed, cut, ready = [], [], encoded()
    with DaskCrew(ready, BASE, tmp_path, workers=2) as crew:

        def progress(said):
            if said["epoch"] and not killed:
                busy = {worker: keys for worker, keys in crew.client.processing().items() if keys}
                for pid in crew.client.run(os.getpid, workers=list(busy)).values():
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                names = [key.partition("/")[2] for keys in busy.values() for key in keys]
                cut.extend(name for name in names if not (tmp_path / name / DONE).exists())

        # Long enough for a job to be under way when its first epoch is heard of.
        asked = trials(epochs=40)
        result = train_batch(ready, asked, crew=crew, progress=progress)
        assert not set(killed) & {p.pid for p in workers_of(os.getpid())}
    with Crew(ready, BASE, tmp_path / "undisturbed") as crew:
        assert told(result) == told(train_batch(ready, asked, crew=crew))
    assert cut
    assert all((tmp_path / name / DONE).exists() for name in cut)
    assert {r.state for r in result.results} == {"finished"}
    assert capfd.readouterr() == ("", "")


@pytest.mark.long
def test_a_job_that_workers_die_of_fails_with_its_trials_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    killed, ready = [], encoded()
    with DaskCrew(ready, BASE, tmp_path, workers=1) as crew:

        def progress(said):
            if said["epoch"] and not killed:
                ((name,),) = crew.client.processing().values()
                killed.append(name.partition("/")[2])
                for pid in crew.client.run(os.getpid).values():
                    os.kill(pid, signal.SIGKILL)

        result = train_batch(ready, trials(epochs=40), crew=crew, progress=progress)
    states = [r.state for r in result.results]
    assert set(states) == {"failed", "finished"}
    assert not (tmp_path / killed[0] / DONE).exists()  # a run that comes back tries again
    reasons = {r.reason for r in result.results if r.state == "failed"}
    assert all("a worker died while it trained" in reason for reason in reasons)


RUN = """
    import sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    import models.shapes
    import test_dask_crew as t
    models.shapes.WORTH = 0.0

    def progress(said):
        print("training", flush=True)

    how = dict(address=sys.argv[2]) if len(sys.argv) > 2 else dict(workers=2)
    ready = t.encoded()
    with t.DaskCrew(ready, t.BASE, Path(sys.argv[1]), **how) as crew:
        t.train_batch(ready, t.trials(epochs=9000), crew=crew, progress=progress)
"""


def started(folder, *more):
    """A run in a process of its own, when it trains."""
    code = textwrap.dedent(RUN.format(tests=str(Path(__file__).parent)))
    run = subprocess.Popen(
        [sys.executable, "-c", code, str(folder), *more],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout.readline() == "training\n"
    return run


@pytest.mark.long
def test_a_run_that_is_killed_leaves_no_process(tmp_path):
    run = started(tmp_path)
    processes = below(run.pid)
    assert len(workers_of(run.pid)) == 2
    run.kill()
    assert run.wait() == -signal.SIGKILL
    run.stdout.close()
    assert ended(processes)


@pytest.mark.long
def test_a_cluster_that_is_killed_ends_the_run_with_its_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(dask_crew, "CONNECT", 2.0)
    monkeypatch.setattr(dask_client, "CONNECT", 2.0)
    others = set(psutil.Process().children(recursive=True))
    seen = []

    def progress(_):
        if not seen:
            seen.extend(set(psutil.Process().children(recursive=True)) - others)
            (host,) = set(psutil.Process().children()) - others
            host.kill()

    with pytest.raises(PenstockError, match="must stay while a sweep trains"):
        on_dask(tmp_path, workers=1, asked=trials(epochs=9000), progress=progress)
    assert ended(seen)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """A scheduler and a worker as one starts them by hand."""
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    where = ["--scheduler-file", str(file)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": ROOT}
    loopback = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
    one = subprocess.Popen([*dask, "scheduler", *where, "--port", "0", *loopback], **quiet)
    threads = ["--nthreads", "1", "--local-directory", str(folder)]
    two = subprocess.Popen([*dask, "worker", *where, *loopback, *threads], **quiet)
    while not file.is_file():
        assert one.poll() is None
        time.sleep(0.1)
    yield json.loads(file.read_text())["address"]
    for process in (two, one):
        process.terminate()
        process.wait()


@pytest.mark.long
@pytest.mark.slow
def test_a_scheduler_that_is_there_trains_the_same_and_forgets(tmp_path, local, scheduler, capfd):
    result = on_dask(tmp_path, address=scheduler)
    assert told(result) == told(local)
    assert capfd.readouterr() == ("", "")
    with dask_client.connected(tmp_path, address=scheduler, workers=1) as client:
        assert len(client.scheduler_info()["workers"]) == 1
        assert client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) == 0


@pytest.mark.long
def test_a_worker_ends_the_job_of_a_run_that_was_killed(tmp_path, scheduler):
    run = started(tmp_path, scheduler)
    run.kill()
    assert run.wait() == -signal.SIGKILL
    run.stdout.close()
    with dask_client.connected(tmp_path, address=scheduler, workers=1) as client:
        # The only thread is free again: a job of nine thousand epochs is not waited for.
        future = client.submit(os.getpid, pure=False)
        assert future.result(timeout=60)
    assert not list(tmp_path.glob(f"*/{DONE}"))


@pytest.mark.long
def test_a_run_that_comes_back_does_not_train_again_what_is_done(tmp_path, local, scheduler):
    first = on_dask(tmp_path, address=scheduler)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob(f"*/{DONE}")}
    assert told(on_dask(tmp_path, address=scheduler)) == told(first)
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.glob(f"*/{DONE}")}


@pytest.mark.long
def test_a_worker_that_does_not_see_the_folder_is_refused(tmp_path, scheduler, monkeypatch):
    monkeypatch.setattr("models.stored.save_table", lambda *_: None)
    with pytest.raises(PenstockError, match=r"one that all Dask workers see.*table\.json is not"):
        on_dask(tmp_path, address=scheduler)


def test_a_job_asks_for_the_table_that_the_run_has(tmp_path, monkeypatch):
    from models.stored import save_table

    monkeypatch.setattr("models.remote.PATIENCE", 0.0)

    job = _any_job().to_json()
    how = {"device": "cpu", "progress": lambda _: None}
    with pytest.raises(UnfitWorkerError, match=r"all workers see.*table\.json is not there"):
        train_remotely(str(tmp_path / "no"), str(tmp_path), job, digest="", **how)
    save_table(encoded(), BASE, tmp_path / "table")
    with pytest.raises(UnfitWorkerError, match="what the run has made of it"):
        train_remotely(str(tmp_path / "table"), str(tmp_path), job, digest="another", **how)


def _any_job():
    from models.batch import _jobs
    from models.shapes import group

    ready = encoded()
    shapes = group(trials(), ready.encoder, size=ready.size, outputs=1)
    crew = Crew(ready, BASE, Path("unused"))
    return _jobs(shapes, {}, until=6, last=True, crew=crew, deadline=None)[0]


def test_a_scheduler_that_is_not_there_is_said(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(dask_client, "CONNECT", 0.5)
    with pytest.raises(PenstockError, match=r"must answer at tcp://127\.0\.0\.1:1, found"):
        on_dask(tmp_path, address="tcp://127.0.0.1:1")
    assert capfd.readouterr() == ("", "")


def test_without_dask_a_run_is_refused_and_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SettingsError, match=r"pip install 'penstock\[dask\]'"):
        DaskCrew(encoded(), BASE, tmp_path, workers=2)


SWEEP = """
[sweep]
trials = 6
batch = 3
min_epochs = 2
[sweep.space]
width = [8, 16]
lr = { low = 1e-3, high = 3e-2, log = true }
"""


@pytest.mark.long
def test_the_stage_searches_the_same_on_a_cluster(tmp_path, small_settings, table, monkeypatch):
    reached, connected = [], dask_client.connected
    monkeypatch.setattr(
        dask_crew,
        "connected",
        lambda folder, **how: reached.append(how) or connected(folder, **how),
    )
    (tmp_path / "spec.toml").write_text(small_settings + SWEEP, encoding="utf-8")
    table().to_csv(tmp_path / "table.csv", index=False)

    def found(*overrides):
        spec = load_spec(tmp_path / "spec.toml", ["execution.workers=2", *overrides])
        maker = Maker(spec, open_home(tmp_path / overrides[0]), Progress(quiet=True))
        for stage in stages_of(spec):
            maker.make(stage.name)
            if stage.name == "sweep":
                break
        trials = read_json(maker.made["sweep"].path / "sweep.json")["trials"]
        kept = ("number", "parameters", "state", "score", "epochs", "rung", "validation")
        return [{name: trial[name] for name in kept} for trial in trials]

    assert found("execution.runner=dask") == found("execution.runner=local")
    assert reached == [{"address": None, "workers": 2}]
