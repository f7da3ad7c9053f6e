"""A Dask cluster of this machine for one run: a process that holds its scheduler and its workers.

- `python -m flows.dask_cluster FOLDER WORKERS` says its address on standard output, and ends with
  its standard input: nothing of it outlives the run, however that ends.
- It listens on loopback, and to those alone who hold the key that it makes and says on that pipe:
  whoever may speak to a Dask scheduler may run code as its user.
- Its environment, its log and its scratch files are its own, none of them the run's.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from flows.errors import PenstockError
from models.child import own_voice, start

if TYPE_CHECKING:
    from distributed import LocalCluster

LOG = "dask.log"
SCRATCH = "dask"
LAST = 300  # characters of the log that an error repeats
KEYS = ("tls_ca_file", "tls_client_cert", "tls_client_key")
ROUTES = ["distributed.http.health"]


class Cluster:
    """The process and the pipes to it; a context manager that leaves nothing running.

    Attributes:
        address: of the scheduler.
        keys: what a client must show, as `distributed.Security` names it.

    """

    address: str
    keys: dict[str, str]

    def __init__(self, folder: Path, workers: int) -> None:
        """Start `workers` processes of one thread; what they write lies in `folder`."""
        self.folder = folder
        shutil.rmtree(folder / SCRATCH, ignore_errors=True)  # of a run that was killed
        with (folder / LOG).open("ab") as log:
            self.process = start("flows.dask_cluster", str(folder), str(workers), errors=log)

    def __enter__(self) -> Self:
        """Wait for the workers.

        Raises:
            PenstockError: the cluster did not come up.

        """
        assert self.process.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            said = self.process.stdout.readline()
        except BaseException:
            self.end()
            raise
        if not said:
            self.end()
            raise PenstockError(f"a Dask cluster must come up here, but: {self.last()}")
        facts = json.loads(said)
        self.address, self.keys = facts["address"], facts["keys"]
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.end()

    def last(self) -> str:
        """The end of its log."""
        text = (self.folder / LOG).read_text(encoding="utf-8", errors="replace").strip()
        return text.rpartition("\n")[2][-LAST:] or "it ended without a word"

    def end(self) -> None:
        """End scheduler and workers, whatever they do: all that counts is in the jobs' folders."""
        assert self.process.stdin is not None  # noqa: S101 - a pipe was asked for
        assert self.process.stdout is not None  # noqa: S101 - a pipe was asked for
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.folder / SCRATCH, ignore_errors=True)


def main(folder: Path, workers: int) -> None:
    """Hold a cluster until standard input ends."""
    import dask.config as settings

    out = own_voice()
    held: list[LocalCluster] = []
    threading.Thread(target=_end_with_input, args=(held,), daemon=True).start()
    settings.set(
        {
            "distributed.scheduler.http.routes": ROUTES,
            "distributed.worker.http.routes": ROUTES,
            "distributed.worker.multiprocessing-method": "spawn",
            "distributed.worker.profile.enabled": False,
        }
    )
    from distributed import LocalCluster
    from distributed.security import Security

    security = Security.temporary()
    cluster = LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        protocol="tls",
        dashboard_address="127.0.0.1:0",
        security=security,
        memory_limit=None,  # a job that needs memory is halved by itself; Dask would kill it
        local_directory=str(folder / SCRATCH),
        death_timeout=60,
        silence_logs=logging.WARNING,
    )
    held.append(cluster)
    keys: dict[str, Any] = {name: getattr(security, name) for name in KEYS}
    out.write(json.dumps({"address": cluster.scheduler_address, "keys": keys}) + "\n")
    out.flush()
    threading.Event().wait()


def _end_with_input(held: list[LocalCluster]) -> None:
    """End at once with the run: its pipe closes whatever ends it."""
    import multiprocessing

    sys.stdin.read()
    for cluster in held:
        for nanny in cluster.workers.values():
            nanny.auto_restart = False
    for worker in multiprocessing.active_children():
        worker.kill()
        worker.join()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
