"""Runs that MLflow holds for running although their process is gone, as after `kill -9`.

- A run says whose it is: host, process and home. It is called gone only on evidence: its process
  number is free or somebody else's, seen from the same boot and the same space of processes; or
  another run holds, or nobody holds, the lock of its name in its own home.
- Anything else, such as a run on another machine or in another container, is left alone.
- A run ends at its last sign of life, so that its duration means something.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import servers
from flows.experiment import NOTE, plain
from flows.turns import runs_under_way

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flows.home import Home

HOST, PROCESS, HOME = "penstock.host", "penstock.process", "penstock.home"
UNDER_WAY = f"attributes.status = 'RUNNING' AND tags.`{PROCESS}` != ''"
PULSE = "system/process_memory_megabytes"
MOST = 200  # runs looked at; the rest are the next run's


def owner(home: Home) -> dict[str, str]:
    """Return the tags that say whose a run of this process is."""
    return {
        HOST: socket.gethostname(),
        PROCESS: f"{os.getpid()} {servers.identity(os.getpid())['born']} {_space()}",
        HOME: _identity(home, make=True),
    }


def stale_runs(home: Home) -> list[dict[str, Any]]:
    """Return the runs of any experiment here whose process is gone; reads only.

    Each is {"run", "name", "run_id", "host", "since", "why"}; `since` is in milliseconds.

    Raises:
        PenstockError: MLflow does not answer.

    """
    from flows.mlflow_errors import trouble
    from flows.registry import client

    if home.embedded and not (home.root / "mlflow.db").is_file():
        return []  # asking would make the database
    try:
        reader = client(home)
        experiments = [e.experiment_id for e in reader.search_experiments(max_results=1000)]
        found = list(_gone(reader, experiments, home))
    except Exception as error:  # noqa: BLE001 - frameworks raise their own
        raise trouble(home, error, must="answer") from None
    return [_described(run, why) for run, why in found]


def end_stale(client: Any, experiment_id: str, home: Home, *, run: str) -> None:
    """End, as killed, the runs of this experiment whose process is gone, and their children."""
    for gone, why in _gone(client, [experiment_id], home):
        said = f"killed: {why} when run {run} began"
        of_it = (
            f"attributes.status = 'RUNNING' AND tags.`mlflow.parentRunId` = '{gone.info.run_id}'"
        )
        for each in [*client.search_runs([experiment_id], of_it), gone]:
            client.set_tag(each.info.run_id, "penstock.ended", said)
            ended = _last_sign(client, each)
            client.set_terminated(each.info.run_id, status="KILLED", end_time=ended)
        if gone.data.tags.get("verdict") == "running":  # else it had come to its end
            client.set_tag(gone.info.run_id, "verdict", "killed")
            client.set_tag(gone.info.run_id, NOTE, f"**{plain(said.capitalize())}.**")
            client.log_param(gone.info.run_id, "verdict", "killed")


def _gone(client: Any, experiments: list[str], home: Home) -> Iterator[tuple[Any, str]]:
    """Yield the runs whose process is known to be gone, with the reason in words."""
    if not experiments:
        return
    running = client.search_runs(experiments, UNDER_WAY, max_results=MOST)
    for run in running:
        if why := why_gone(run.data.tags, home):
            yield run, why


def why_gone(tags: Mapping[str, str], home: Home) -> str | None:
    """Say how it is known that a run's process is gone; None where it lives, or nothing is known."""
    number, _, rest = tags[PROCESS].partition(" ")
    born, _, space = rest.partition(" ")
    if not number.isdigit():
        return None
    where = f"its process {number} on {tags.get(HOST)}"
    if space == _space():
        alive = servers.alive({"pid": int(number), "born": born})
        return None if alive else f"{where} was gone"
    if tags.get(HOME) and tags.get(HOME) == _identity(home, make=False):
        held = {run["name"]: run.get("process") for run in runs_under_way(home)}
        alive = held.get(tags.get("penstock.name")) == int(number)
        return None if alive else f"{where} no longer held its lock"
    return None


def _last_sign(client: Any, run: Any) -> int:
    """When the run was last known to live, in milliseconds."""
    with contextlib.suppress(Exception):  # a run may have left no metric at all
        return max(point.timestamp for point in client.get_metric_history(run.info.run_id, PULSE))
    return run.info.start_time


def _described(run: Any, why: str) -> dict[str, Any]:
    tags = run.data.tags
    return {
        "run": tags.get("penstock.run"),
        "name": tags.get("penstock.name"),
        "run_id": run.info.run_id,
        "host": tags.get(HOST),
        "since": run.info.start_time,
        "why": why,
    }


def _space() -> str:
    """What must be equal for process numbers to mean the same: the boot and the namespace."""
    try:
        boot = servers.boot()
        names = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux: one space for each machine
        boot, names = "", socket.gethostname()
    return hashlib.sha256(f"{boot} {names}".encode()).hexdigest()[:12]


def _identity(home: Home, *, make: bool) -> str:
    """What no other home has: its place, and a number that was drawn when it was first used."""
    kept = home.locks / "home"
    if make and not kept.exists():
        draft = home.locks / f".home.{secrets.token_hex(4)}"
        draft.write_text(secrets.token_hex(8), encoding="ascii")
        with contextlib.suppress(FileExistsError):
            os.link(draft, kept)
        draft.unlink()
    try:
        drawn = kept.read_text(encoding="ascii")
    except OSError:
        return ""
    return hashlib.sha256(f"{home.root} {drawn}".encode()).hexdigest()[:16]
