"""The files of a registered version, as they were when it earned its place, or a refusal.

- The tag `penstock.manifest` names every file of the logged model with its SHA-256; versions of
  earlier Penstocks name the three that are executed, by their base names.
- Files are copied out of the store, compared, and used from the copy, so that what was verified is
  what is loaded. What Python and MLflow leave beside them is not copied.
- Where PENSTOCK_VERIFY_KEY names a public key, the manifest must be signed by its owner.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.errors import ArtifactRefused
from flows.mlflow_errors import trouble
from flows.registry import addressed, client
from flows.signing import refuse_unsigned
from flows.stage import digest_of, file_digest
from flows.versions import KEY, MANIFEST, SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flows.home import Home

LEFT = ("registered_model_meta", "__pycache__")
"""What MLflow and Python write beside a model that they load from a local store."""
NAMED = 5


def manifest_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in a folder, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files}


def fetched(home: Home, version: Any) -> Path:
    """Return a folder with the files of a registered version, each verified; an MLflow model.

    The folder is the home's, or, where there is no home, one that this process removes at its end.

    Raises:
        ArtifactRefused: a file was changed, is gone or was added; says which. Or the version was
            not registered by Penstock, or is not signed as it must be.
        PenstockError: the store does not answer.

    """
    wanted = manifest(version)
    draft = Path(tempfile.mkdtemp(prefix=".making-", dir=_place(home)))
    try:
        download(home, version, draft)
        found = manifest_of(draft)
        if wrong := _differences(wanted, found):
            more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
            msg = (
                f"the files of {version.name} version {version.version} must be those that were "
                f"registered, however: {'; '.join(wrong[:NAMED])}{more}; restore them, or roll back"
            )
            raise ArtifactRefused(msg)
        return _settled(draft, found)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def manifest(version: Any) -> dict[str, str]:
    """Return the digests that a version was registered with, by file.

    Raises:
        ArtifactRefused: it has none, or they are not signed as PENSTOCK_VERIFY_KEY asks.

    """
    said = f"{version.name} version {version.version}"
    try:
        wanted = dict(json.loads(version.tags[MANIFEST]))
    except (KeyError, ValueError, TypeError):
        msg = f"{said} must have its files' digests in the tag {MANIFEST}: Penstock did not make it"
        raise ArtifactRefused(msg) from None
    key, signature = version.tags.get(KEY, ""), version.tags.get(SIGNATURE)
    refuse_unsigned(said, signature, model=version.name, key=key, manifest=wanted)
    return wanted


def download(home: Home, version: Any, folder: Path) -> None:
    """Copy the files of a version, or of a logged model's id, out of the store into `folder`."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    asked = client(home)
    try:
        with addressed(home):
            place = (
                asked.get_logged_model(version).artifact_location
                if isinstance(version, str)
                else asked.get_model_version_download_uri(version.name, version.version)
            )
            store = get_artifact_repository(place, tracking_uri=home.tracking_uri)
            store.download_artifacts("", dst_path=str(folder))
    except Exception as error:
        what = version if isinstance(version, str) else f"{version.name} version {version.version}"
        raise trouble(home, error, must=f"hand out the files of {what}") from error
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.name in LEFT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Say what is not as it was registered, a file each."""
    whole = "MLmodel" in wanted
    if not whole:  # an earlier Penstock's: base names of what is executed
        found = {name.rpartition("/")[2]: digest for name, digest in found.items()}
    if not found:
        return [f"all of them are gone ({', '.join(list(wanted)[:NAMED])})"]
    wrong = [f"{name} is gone" for name in wanted if name not in found]
    wrong += [f"{n} has other content" for n in wanted if n in found and found[n] != wanted[n]]
    return wrong + ([f"{name} was added" for name in found if name not in wanted] if whole else [])


def _place(home: Home) -> Path:
    """Where copies are kept: the home's cache, or a folder of this process where there is no home."""
    if home.root.is_dir():
        place = home.cache / "models"
        place.mkdir(parents=True, exist_ok=True)
        return place
    place = Path(tempfile.mkdtemp(prefix="penstock-models-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


def _settled(draft: Path, found: Mapping[str, str]) -> Path:
    """Give the copy the name of its content; one that is there already is used if it is whole."""
    place = draft.parent / digest_of(dict(found))[:32]
    shutil.rmtree(place / "__pycache__", ignore_errors=True)
    if place.is_dir() and manifest_of(place) == found:
        place.touch()  # for retention: it is in use
        return place
    shutil.rmtree(place, ignore_errors=True)
    try:
        draft.rename(place)
    except OSError:  # another process was first, with the same content
        if manifest_of(place) != found:
            raise
    place.chmod(0o755)
    return place
