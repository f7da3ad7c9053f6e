"""Who runs PostgreSQL: we ourselves, or, where we are root, somebody with fewer rights."""

from __future__ import annotations

import contextlib
import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING

from binaries import StackError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Account:
    """The unprivileged user that PostgreSQL runs as, where we are root."""

    name: str
    uid: int
    gid: int


def unprivileged(folder: Path) -> Account | None:
    """Return who runs PostgreSQL: None is ourselves; for root the owner of `folder`, or `postgres`."""
    if os.geteuid() != 0:
        return None
    owner = folder.stat().st_uid if folder.exists() else 0
    for name in (owner, "postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwuid(name) if isinstance(name, int) else pwd.getpwnam(name)
            if user.pw_uid != 0:
                return Account(user.pw_name, user.pw_uid, user.pw_gid)
    raise StackError("PostgreSQL does not run as root, and there is no user `postgres`: make one")
