"""Versions of a registered model: found by their key, made once, kept up to date.

- The key is what makes a version the same: an answer that was lost, or two processes at once, must
  not leave two versions of one key. Twins are looked for after each creation; the lowest stays.
- A name may hold any quote, and a filter cannot quote every name: then all versions are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.registry import ABSENT, client
from flows.transient import is_transient

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flows.home import Home

KEY, RUN, VERDICT = "penstock.key", "penstock.run", "penstock.verdict"
MANIFEST, SIGNATURE = "penstock.manifest", "penstock.signature"
MECHANICAL, METRIC = "penstock.blessing.mechanical", "penstock.blessing.metric"
HOLD, DUPLICATE = "penstock.hold", "penstock.duplicate"
COMPARED, RULE = "penstock.compared_with", "penstock.rule"
EVIDENCE, EVIDENCE_RUN = "penstock.evidence", "penstock.evidence.run"
ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the registry says of one model at one moment."""

    aliases: Mapping[str, int]
    tags: Mapping[str, str]

    @property
    def champion(self) -> int | None:
        """The version in service."""
        return self.aliases.get("champion")

    @property
    def previous(self) -> int | None:
        """The version that was in service before."""
        return self.aliases.get("previous")

    def held_by(self, version: int) -> tuple[str, ...]:
        """Return the aliases that point to a version."""
        return tuple(sorted(alias for alias, number in self.aliases.items() if number == version))


def standing(home: Home, name: str) -> Standing | None:
    """Return aliases and tags of a registered model, read at once; None where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        model = client(home).get_registered_model(name)
    except MlflowException as error:
        if error.error_code not in ABSENT:  # a registry that is away says nothing of a model
            raise
        return None
    aliases = {alias: int(version) for alias, version in model.aliases.items()}
    return Standing(aliases=aliases, tags=dict(model.tags))


def champion(home: Home, name: str) -> Any | None:
    """Return the version behind `models:/<name>@champion`, or None where there is none."""
    now = standing(home, name)
    return version_of(home, name, now.champion) if now and now.champion else None


def version_of(home: Home, name: str, number: int) -> Any | None:
    """Return a version, or None where there is none of this number."""
    from mlflow.exceptions import MlflowException

    try:
        return client(home).get_model_version(name, str(number))
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        return None


def versions(home: Home, name: str) -> list[Any]:
    """Return all versions of a model, by number."""
    quote = next((quote for quote in ("'", '"') if quote not in name), None)
    wanted = f"name = {quote}{name}{quote}" if quote else ""
    return sorted(_search(home, wanted, name), key=lambda version: int(version.version))


def with_key(home: Home, name: str, key: str) -> list[Any]:
    """Return the versions of a model that are ready and have this key; the first is the one."""
    found = _search(home, f"tags.`{KEY}` = '{key}'", name)
    ready = [made for made in found if made.status == "READY" and DUPLICATE not in made.tags]
    return sorted(ready, key=lambda version: int(version.version))


def find(home: Home, name: str, key: str) -> Any | None:
    """Return the registered version that has this key, or None."""
    return next(iter(with_key(home, name, key)), None)


def _search(home: Home, wanted: str, name: str) -> Iterable[Any]:
    reader, token = client(home), None
    while True:
        page = reader.search_model_versions(wanted, page_token=token)
        yield from (version for version in page if version.name == name)
        token = page.token
        if not token:
            return


def create(
    home: Home, name: str, *, model_id: str, run_id: str, tags: Mapping[str, str], description: str
) -> tuple[Any, list[str]]:
    """Make the version of the key in `tags`; return it, and what twins were removed, in words.

    An answer that is lost is no reason for a second version: before it is asked again, and after,
    the key is looked for.
    """
    for attempt in range(ATTEMPTS):
        try:
            client(home).create_model_version(
                name,
                source=f"models:/{model_id}",
                run_id=run_id,
                tags=dict(tags),
                description=description,
                model_id=model_id,
            )
            break
        except Exception as error:
            if attempt + 1 == ATTEMPTS or not is_transient(error):
                raise
            if find(home, name, tags[KEY]) is not None:  # made, and its answer was lost
                break
    return only_one(home, name, tags[KEY])


def only_one(home: Home, name: str, key: str) -> tuple[Any, list[str]]:
    """Return the version of a key, the lowest; remove its twins, and say which."""
    kept, *twins = with_key(home, name, key)
    writer, said, now = client(home), [], standing(home, name)
    for twin in twins:
        if now and now.held_by(int(twin.version)):
            writer.set_model_version_tag(name, twin.version, DUPLICATE, str(kept.version))
            said.append(f"version {twin.version} is a twin of version {kept.version}: tagged so")
            continue
        writer.delete_model_version(name, twin.version)
        said.append(f"version {twin.version} was a twin of version {kept.version}: removed")
    return kept, said


def retag(home: Home, version: Any, tags: Mapping[str, str | None], description: str = "") -> None:
    """Bring a version's tags up to date; None removes one."""
    writer = client(home)
    for name, value in tags.items():
        if value is None and name in version.tags:
            writer.delete_model_version_tag(version.name, version.version, name)
        elif value is not None and version.tags.get(name) != value:
            writer.set_model_version_tag(version.name, version.version, name, value)
    if description and version.description != description:
        writer.update_model_version(version.name, version.version, description=description)
