"""One stage's contract: a key made of content, an atomic artifact, verified when it is read.

- The key is the digest of the inputs' contents, the stage's part of the settings, its code (its
  module with everything of this repository that it imports) and the installed versions.
- An artifact is a folder that appears whole or not at all: written beside its place, flushed to
  disk, renamed. Its manifest names every file with size and SHA-256.
- A stored artifact that does not match its manifest is a miss; the file and the reason are said.
- Downstream keys depend on an artifact's *content*, so a stage that ran again and came to the same
  result does not make its successors run.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MANIFEST = "manifest.json"
OURS = ("flows", "models", "expectations")
ROOT = Path(__file__).resolve().parent.parent
IMPORT = re.compile(
    r"^[ \t]*(?:from|import)[ \t]+(?P<module>(?:flows|models|expectations)[\w.]*)"
    r"(?:[ \t]+import[ \t]+(?P<names>\([^)]*\)|[^\n]*))?",
    re.MULTILINE,
)
"""An import of one of our modules; read by pattern, as parsing a hundred files takes a second."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a stage's result depends on, kept apart so that a change can be named."""

    inputs: Mapping[str, str]
    """Digest by name: the artifacts of earlier stages and the files read."""
    settings: Mapping[str, Any]
    """The stage's part of the settings."""
    code: str
    """Digest of the stage's source and of what it imports of this repository."""
    versions: str
    """Digest of the installed versions of what Penstock requires."""

    @property
    def key(self) -> str:
        """The digest of all parts."""
        return digest_of(
            {
                "inputs": dict(self.inputs),
                "settings": dict(self.settings),
                "code": self.code,
                "versions": self.versions,
            }
        )

    def changes(self, before: Mapping[str, Any]) -> list[str]:
        """Name what differs from the parts stored by an earlier run."""
        found = [
            f"{kind} {name}"
            for kind, new in (("input", self.inputs), ("setting", self.settings))
            for name in sorted({*new, *before.get(f"{kind}s", {})})
            if new.get(name) != before.get(f"{kind}s", {}).get(name)
        ]
        found += ["code"] if self.code != before.get("code") else []
        return found + (["installed versions"] if self.versions != before.get("versions") else [])

    def record(self) -> dict[str, Any]:
        """The parts as JSON."""
        return {
            "inputs": dict(self.inputs),
            "settings": dict(self.settings),
            "code": self.code,
            "versions": self.versions,
        }


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A reference to what a stage left: never the data itself."""

    stage: str
    key: str
    path: Path
    digest: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    reused: bool = False
    seconds: float = 0.0


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a JSON-able value in canonical form."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Store:
    """The artifacts of all stages under one folder: `<root>/<stage>/<key>/`."""

    def __init__(self, root: Path, warn: Callable[[str], None] = lambda _: None) -> None:
        """`warn` hears about artifacts that are damaged."""
        self.root = root
        self.warn = warn

    def find(self, stage: str, key: str) -> Artifact | None:
        """Return the verified artifact, or None where there is none that can be trusted."""
        folder = self.root / stage / key[:32]
        if not folder.is_dir():
            return None
        damage = _damage(folder)
        if damage:
            self.warn(f"cache: {stage} is made again, its artifact is damaged: {damage}")
            shutil.rmtree(folder, ignore_errors=True)
            return None
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        os.utime(folder)  # retention by last use
        return Artifact(
            stage=stage,
            key=key,
            path=folder,
            digest=manifest["digest"],
            facts=manifest["facts"],
            reused=True,
            seconds=manifest["seconds"],
        )

    def make(self, stage: str, parts: Parts, work: Callable[[Path], Mapping[str, Any]]) -> Artifact:
        """Return the stored artifact, or let `work(folder)` write it and store it atomically."""
        found = self.find(stage, parts.key)
        if found is not None:
            return found
        place = self.root / stage / parts.key[:32]
        place.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".making-", dir=place.parent))
        try:
            started = time.monotonic()
            facts = dict(work(folder))
            seconds = round(time.monotonic() - started, 3)
            digest = _seal(folder, stage, parts, facts, seconds)
            try:
                folder.rename(place)
            except OSError:  # another run was first: its artifact has the same key
                first = self.find(stage, parts.key)
                if first is None:
                    raise
                return first
            _flush(place.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return Artifact(
            stage=stage, key=parts.key, path=place, digest=digest, facts=facts, seconds=seconds
        )


def _seal(folder: Path, stage: str, parts: Parts, facts: Mapping[str, Any], seconds: float) -> str:
    """Write the manifest, flush everything to disk and return the content's digest."""
    files = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        _flush(path)
        files[path.relative_to(folder).as_posix()] = [path.stat().st_size, file_digest(path)]
    digest = digest_of(files)
    manifest = {
        "stage": stage,
        "key": parts.key,
        "digest": digest,
        "parts": parts.record(),
        "facts": facts,
        "seconds": seconds,
        "files": files,
    }
    (folder / MANIFEST).write_text(
        json.dumps(manifest, indent=1, ensure_ascii=False, default=str), encoding="utf-8"
    )
    _flush(folder / MANIFEST)
    _flush(folder)
    return digest


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _damage(folder: Path) -> str | None:
    """Say what is wrong with a stored artifact, or None where it matches its manifest."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = manifest["files"]
        if manifest["digest"] != digest_of(files):
            return f"{folder / MANIFEST} does not match its own digest"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{folder / MANIFEST} cannot be read ({error})"
    for name, (size, digest) in files.items():
        path = folder / name
        if not path.is_file():
            return f"{path} is gone"
        if path.stat().st_size != size:
            return f"{path} has {path.stat().st_size:,} bytes, not {size:,}"
        if file_digest(path) != digest:
            return f"{path} has other content than was written"
    return None


@functools.cache
def code_digest(module: str) -> str:
    """Return the digest of a module's source and of all it imports of this repository."""
    return digest_of(sources_of(module))


def sources_of(module: str) -> dict[str, str]:
    """Return the digest of each source that a module rests on, wherever it is imported."""
    sources: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _source(name)
        if name in sources or path is None:
            continue
        sources[name] = file_digest(path)
        waiting += _imports(path)
    return sources


def _source(module: str) -> Path | None:
    """Where a module of this repository lies; found by name, as asking Python would import it."""
    if module.partition(".")[0] not in OURS:
        return None
    path = ROOT.joinpath(*module.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


@functools.cache
def _imports(path: Path) -> frozenset[str]:
    """Names of this repository's modules that a source imports, anywhere in it."""
    found: set[str] = set()
    for line in IMPORT.finditer(path.read_text(encoding="utf-8")):
        module, names = line["module"], (line["names"] or "").strip("()").split(",")
        found |= {module, *(f"{module}.{name.split(' as ')[0].strip()}" for name in names)}
    return frozenset(name for name in found if _source(name))


@functools.cache
def installed_versions() -> dict[str, str]:
    """Return the installed version of Python and of everything that Penstock requires."""
    required = importlib.metadata.requires("penstock") or []
    names = [
        match[0]
        for line in required
        if "extra ==" not in line and (match := re.match(r"[A-Za-z0-9._-]+", line))
    ]
    versions = {name: importlib.metadata.version(name) for name in sorted(names)}
    return {"python": platform.python_version(), **versions}
