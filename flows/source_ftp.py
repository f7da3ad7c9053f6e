"""FTP and FTPS as a source: files streamed to the home, fetched again only where they changed.

- The login is that of the address in `${NAME}`, else FTP_USER and FTP_PASSWORD of the environment,
  else anonymous. `*` in the last part of the path names several files.
- FTPS protects the data, too. What fails for a moment (a 4xx reply, a lost line) is tried again.
"""

from __future__ import annotations

import contextlib
import ftplib
import os
import time
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from flows.failed import away, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flows.addresses import Address
    from flows.data_spec import DataSpec
    from flows.fetched import Place

TRIES, FIRST_WAIT, PATIENCE = 4, 0.5, 60.0  # times, seconds, seconds


def fetch(address: Address, data: DataSpec, place: Place) -> list[tuple[str, Path]]:
    """Return the files that an address names, in order.

    Raises:
        DataRefused: there is no such file, the login is refused, or the server is away.

    """
    del data
    said = ""
    for tried in range(TRIES):
        if tried:
            time.sleep(FIRST_WAIT * 2**tried)
        try:
            with _line(address) as line:
                names = _names(line, address)
                return [_one(line, name, address, place) for name in names]
        except ftplib.error_perm as error:
            message = f"{address.shown}: the server refuses: {address.safe(str(error))}"
            advice = "correct the path, or give a login (FTP_USER, FTP_PASSWORD)"
            raise refuse("source.ftp", message, advice) from None
        except (ftplib.Error, OSError, EOFError) as error:
            said = address.safe(f"{type(error).__name__}: {error}")
    raise away(f"{address.shown} could not be fetched in {TRIES} tries: {said}")


@contextlib.contextmanager
def _line(address: Address) -> Iterator[ftplib.FTP]:
    parts = urlsplit(address.url)
    secure = address.scheme == "ftps"
    line: Any = ftplib.FTP_TLS() if secure else ftplib.FTP()  # noqa: S321 - as above
    line.connect(parts.hostname or "", parts.port or 21, timeout=PATIENCE)
    try:
        user = unquote(parts.username or "") or os.environ.get("FTP_USER", "")
        word = unquote(parts.password or "") or os.environ.get("FTP_PASSWORD", "")
        line.login(user, word) if user else line.login()
        if secure:
            line.prot_p()
        yield line
    finally:
        line.close()


def _names(line: ftplib.FTP, address: Address) -> list[str]:
    path = PurePosixPath(unquote(urlsplit(address.url).path))
    if not any(c in path.name for c in "*?["):
        return [str(path)]
    listed = [PurePosixPath(name).name for name in line.nlst(str(path.parent))]
    found = sorted(str(path.parent / name) for name in listed if fnmatchcase(name, path.name))
    if not found:
        raise refuse("source.missing", f"nothing matches {address.shown}", "correct the pattern")
    return found


def _one(line: ftplib.FTP, name: str, address: Address, place: Place) -> tuple[str, Path]:
    path = place.path(name)
    plain = PurePosixPath(name).name
    shown = plain if any(c in address.shown for c in "*?[") else address.shown
    line.voidcmd("TYPE I")  # sizes are those of the bytes; a listing asks for text
    size, moment = line.size(name), _moment(line, name)
    kept = place.known(path)
    if moment and kept and (kept.get("size"), kept.get("moment")) == (size, moment):
        return shown, path
    with place.draft(path).open("wb") as stream:
        line.retrbinary(f"RETR {name}", stream.write, blocksize=1 << 20)
    found = place.draft(path).stat().st_size
    if size is not None and found != size:
        raise OSError(f"{found:,} of {size:,} bytes came")  # tried again
    return shown, place.keep(path, size=size, moment=moment)


def _moment(line: ftplib.FTP, name: str) -> str | None:
    """When the file was changed last, as the server writes it; not every server says."""
    try:
        return line.voidcmd(f"MDTM {name}").partition(" ")[2].strip() or None
    except ftplib.error_perm:
        return None
