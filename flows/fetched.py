"""What was fetched from elsewhere, kept as files in the home: `<home>/sources/<place>/`.

- A file appears whole or not at all; beside it stands what the server said of it, so that one which
  did not change need not be fetched again. A kept file that is not what it was is fetched anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import TYPE_CHECKING, Any

from flows.home import root_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flows.addresses import Address


class Place:
    """The folder of one address with its options."""

    def __init__(self, address: Address, folder: Path, options: Mapping[str, Any]) -> None:
        """Make the folder; `folder` is that of the settings."""
        self.base = folder
        text = json.dumps([address.scheme, address.url, dict(options)], sort_keys=True, default=str)
        name = hashlib.sha256(text.encode()).hexdigest()[:24]
        self.folder = root_of(folder) / "sources" / name
        self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """Return where a file of that name lies."""
        return self.folder / file_name(name)

    def draft(self, path: Path) -> Path:
        """Return where a file is written before it is whole."""
        return path.with_name(f".{path.name}.{os.getpid()}")

    def known(self, path: Path) -> dict[str, Any]:
        """Return what was kept of a file that is still what it was; {} where there is none."""
        try:
            facts = json.loads(_facts_of(path).read_text("utf-8"))
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except (OSError, ValueError):
            return {}
        return facts if facts.get("sha256") == found else {}

    def keep(self, path: Path, **facts: Any) -> Path:
        """Put the draft of a file into its place, with what is known of it."""
        draft = self.draft(path)
        with draft.open("rb") as stream:
            facts["sha256"] = hashlib.file_digest(stream, "sha256").hexdigest()
            os.fsync(stream.fileno())
        _facts_of(path).unlink(missing_ok=True)  # never the facts of another content
        draft.replace(path)
        _facts_of(path).write_text(json.dumps(facts), encoding="utf-8")
        return path


def _facts_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.facts.json")


def file_name(text: str) -> str:
    """Return the last part of an address as a plain file name."""
    last = text.rstrip("/").rpartition("/")[2] or "rows"
    return re.sub(r"[^\w.-]", "_", last)[-80:].lstrip(".") or "rows"
