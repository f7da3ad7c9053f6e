"""Where PostgreSQL's programs are: PENSTOCK_POSTGRES, the PATH, or where systems put them.

- The newest is taken, but a cluster that exists needs the major version that made it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("initdb", "pg_ctl", "postgres", "psql")
PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
INSTALL = "Debian and Ubuntu: `apt-get install postgresql`; Fedora: `dnf install postgresql-server`"


class StackError(Exception):
    """What stands in the way of the stack, said to the person who must act."""


@dataclass(frozen=True)
class Binaries:
    """One installed PostgreSQL."""

    folder: Path
    version: tuple[int, ...]

    @property
    def text(self) -> str:
        """The version as people write it."""
        return ".".join(map(str, self.version))


def find(data: Path | None = None) -> Binaries:
    """Return the newest PostgreSQL, or that of the cluster in `data` where there is one.

    Raises:
        StackError: there is none, or none of the cluster's version; says what to install.

    """
    found = sorted(_installed(), key=lambda binaries: binaries.version)
    if not found:
        raise StackError(
            f"PostgreSQL's programs ({', '.join(NEEDED)}) must be in PENSTOCK_POSTGRES, on the PATH or "
            f"in {PLACES[0]}, and are in none of them; {INSTALL}"
        )
    if data is None or not (data / "PG_VERSION").exists():
        return found[-1]
    major = int((data / "PG_VERSION").read_text("utf-8").split(".")[0])
    same = [binaries for binaries in found if binaries.version[0] == major]
    if not same:
        raise StackError(
            f"the databases in {data} were made by PostgreSQL {major}, and only "
            f"{', '.join(b.text for b in found)} is installed: install {major} beside it, or move the "
            "databases over (docs/deployment.md, Upgrading)"
        )
    return same[-1]


def _installed() -> list[Binaries]:
    named = os.environ.get("PENSTOCK_POSTGRES")
    if named:
        folders = [Path(named).expanduser()]
    else:
        on_path = shutil.which("initdb") or shutil.which("postgres")
        folders = [Path(on_path).resolve().parent] if on_path else []
        folders += [path for place in PLACES for path in Path("/").glob(place.lstrip("/"))]
    complete = [f for f in dict.fromkeys(folders) if all((f / name).exists() for name in NEEDED)]
    if named and not complete:
        raise StackError(f"PENSTOCK_POSTGRES must be the folder of {', '.join(NEEDED)}: {named}")
    return [Binaries(folder, _version(folder)) for folder in complete]


def _version(folder: Path) -> tuple[int, ...]:
    """Read `postgres (PostgreSQL) 15.14 (Debian ...)`; a beta is `17beta1`."""
    done = subprocess.run(
        [folder / "postgres", "--version"], capture_output=True, text=True, timeout=30, check=False
    )
    numbers = re.search(r"\)\s+(\d+)(?:\.(\d+))?", done.stdout)
    return tuple(int(number) for number in numbers.groups() if number) if numbers else (0,)
