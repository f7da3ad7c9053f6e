"""A PostgreSQL of one's own, in a folder: loopback only, passwords only, flushed to disk.

- `initdb` works beside the final place and is renamed into it: a killed one leaves nothing half.
- PostgreSQL refuses to run as root; started by root, it runs as the folder's owner or `postgres`.
- No unix socket: its path may have 107 bytes at most, and it would be one more thing to leave behind.
- After a kill, what is left of it is waited for before it starts again; it then recovers by itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
from binaries import StackError

from flows.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from accounts import Account
    from binaries import Binaries

START_SECONDS = 120  # a recovery replays what was written since the last checkpoint
STOP_SECONDS = 60
LEFTOVER_SECONDS = 15  # the children of a killed server notice, and leave
LOG_BYTES = 10_000_000


SETTINGS = """
# Written once; edit it as you like, then `infra/stack.py down` and `up`. The port is given at start.
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
fsync = on
max_connections = 100
shared_buffers = 64MB
max_wal_size = 256MB
log_line_prefix = '%m [%p] %q%u@%d '
"""
ACCESS = "# database user address method\nhost all all 127.0.0.1/32 scram-sha-256\n"


@dataclass(frozen=True)
class Postgres:
    """One cluster: its folder, the programs, and who runs it."""

    folder: Path
    binaries: Binaries
    account: Account | None

    @property
    def data(self) -> Path:
        """The cluster itself; its name says nothing about the version, `PG_VERSION` in it does."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "server.log"

    def create(self, user: str, password: str) -> None:
        """Make the cluster with this superuser, where there is none yet."""
        if self.data.exists():
            return
        self._own_folder()
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        with tempfile.NamedTemporaryFile("w", dir=self.folder, prefix="init-") as secret:
            secret.write(password)
            secret.flush()
            if self.account:
                os.chown(secret.name, self.account.uid, self.account.gid)
            words = ["--username", user, "--pwfile", secret.name, "--auth=scram-sha-256"]
            words += ["--encoding=UTF8", "--locale=C", "--data-checksums", "--pgdata", str(fresh)]
            self._run("initdb", *words, timeout=START_SECONDS)
        with (fresh / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write(SETTINGS)
        (fresh / "pg_hba.conf").write_text(ACCESS, encoding="utf-8")
        fresh.rename(self.data)

    def _own_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        if self.account:
            os.chown(self.folder, self.account.uid, self.account.gid)

    def reachable(self) -> None:
        """Refuse a folder that the user of PostgreSQL cannot enter.

        Raises:
            StackError: says which folder stands in the way.

        """
        if not self.account:
            return
        for folder in reversed(self.folder.parents):
            if self._as_account(["test", "-x", str(folder)], timeout=10).returncode:
                raise StackError(
                    f"PostgreSQL runs as {self.account.name!r} where root starts it, and that user cannot "
                    f"enter {folder}: choose a home elsewhere with PENSTOCK_HOME, or `chmod o+x {folder}`"
                )

    def postmaster(self) -> int | None:
        """Return the process of the running server; a stale pid file is nobody's."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int((self.data / "postmaster.pid").read_text("utf-8").splitlines()[0])
            return pid if pid in self._processes() else None
        return None

    def _processes(self) -> list[int]:
        """Return every process that works in the cluster: the server changes into its folder."""
        found = []
        for process in psutil.process_iter(["name"]):
            with contextlib.suppress(psutil.Error, OSError):
                if process.info["name"] == "postgres" and process.cwd() == str(self.data):
                    found.append(process.pid)
        return found

    def start(self, port: int) -> None:
        """Start the server and return when it answers.

        Raises:
            StackError: it did not; carries the end of its log.

        """
        self._clear_leftovers()
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        words = ["--pgdata", str(self.data), "--log", str(self.log), "--wait"]
        words += ["--timeout", str(START_SECONDS), "--options", f"-p {port}", "start"]
        self._run("pg_ctl", *words, timeout=START_SECONDS + 30, log=True)

    def _clear_leftovers(self) -> None:
        """Wait for what a killed server left; then no pid file can be anything but stale."""
        deadline = time.monotonic() + LEFTOVER_SECONDS
        while left := self._processes():
            if time.monotonic() > deadline:
                raise StackError(
                    f"a PostgreSQL without a server still works in {self.data}: end its processes "
                    f"({', '.join(map(str, left))}) and try again"
                )
            time.sleep(0.1)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """Stop the server: at once for its clients, with everything written.

        One that was killed is started first: what it left in shared memory then goes, and the
        files that stay need no recovery.
        """
        if self.postmaster() is None:
            if not (self.data / "postmaster.pid").exists():
                return
            self.start(free_port())
        words = ["--pgdata", str(self.data), "--wait", "--timeout", str(STOP_SECONDS), "stop"]
        try:
            self._run("pg_ctl", *words, "--mode", "fast", timeout=STOP_SECONDS + 10, log=True)
        except StackError:
            # As safe as a power cut, from which the next start recovers.
            self._run("pg_ctl", *words, "--mode", "immediate", timeout=STOP_SECONDS + 10, log=True)

    def query(self, sql: str, *, port: int, database: str, user: str, password: str) -> str:
        """Run SQL from standard input, so that nothing of it is on a command line.

        Raises:
            StackError: carries what PostgreSQL answered.

        """
        words = [str(self.binaries.folder / "psql"), "--no-psqlrc", "--quiet", "--tuples-only"]
        words += ["--no-align", "--no-password", "--set", "ON_ERROR_STOP=1", "--file", "-"]
        ours = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        where = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGDATABASE": database}
        who = {"PGUSER": user, "PGPASSWORD": password, "PGCONNECT_TIMEOUT": "5"}
        done = subprocess.run(
            words,
            input=sql,
            env={**ours, **where, **who},
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        if done.returncode:
            raise StackError(f"PostgreSQL at port {port} refused: {done.stderr.strip()[-500:]}")
        return done.stdout.strip()

    def _run(self, program: str, *words: str, timeout: float, log: bool = False) -> None:
        """Run one of PostgreSQL's programs as the right user, with an environment of its own."""
        try:
            done = self._as_account([str(self.binaries.folder / program), *words], timeout=timeout)
        except subprocess.TimeoutExpired:
            raise StackError(
                f"{program} did not end within {timeout:.0f} s{self._tail(log)}"
            ) from None
        if done.returncode:
            said = f"{done.stderr}{done.stdout}".strip()[-1500:]
            raise StackError(f"{program} failed:\n{said}{self._tail(log)}")

    def _as_account(self, words: list[str], *, timeout: float) -> subprocess.CompletedProcess[str]:
        account = self.account
        who: dict[str, Any] = (
            {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
        )
        return subprocess.run(
            words,
            cwd=self.folder if self.folder.exists() else "/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **who,
        )

    def _tail(self, wanted: bool) -> str:
        if not wanted or not self.log.exists():
            return ""
        lines = self.log.read_text("utf-8", errors="replace").splitlines()[-15:]
        return f"\nthe end of {self.log}:\n" + "\n".join(f"  {line}" for line in lines)
