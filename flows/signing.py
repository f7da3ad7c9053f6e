"""Signatures under manifests: who published a model, provable without trusting the registry.

- PENSTOCK_SIGNING_KEY names a file with an Ed25519 private key (PEM): what is published is signed.
- PENSTOCK_VERIFY_KEY names one with the public key: what is not signed with its other half is not
  loaded, scored, served, compared with or promoted.

    openssl genpkey -algorithm ed25519 -out signing.pem
    openssl pkey -in signing.pem -pubout -out verify.pem

- The signature covers the model's name, the version's key and every file's digest, so that it
  cannot be moved to another version.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.errors import ArtifactRefused, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SIGNING, VERIFYING = "PENSTOCK_SIGNING_KEY", "PENSTOCK_VERIFY_KEY"


def signature(*, model: str, key: str, manifest: Mapping[str, str]) -> str | None:
    """Return the signature as base64 text; None where no key is named.

    Raises:
        SettingsError: the named file holds no Ed25519 private key.

    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if not os.environ.get(SIGNING):
        return None
    private = _key(SIGNING, lambda pem: load_pem_private_key(pem, None), Ed25519PrivateKey)
    return base64.b64encode(private.sign(_signed(model, key, manifest))).decode("ascii")


def refuse_unsigned(
    said: str, given: str | None, *, model: str, key: str, manifest: Mapping[str, str]
) -> None:
    """Refuse what is not signed with the other half of PENSTOCK_VERIFY_KEY, where that is set.

    Raises:
        ArtifactRefused: there is no signature, or it is another's.
        SettingsError: the named file holds no Ed25519 public key.

    """
    if not os.environ.get(VERIFYING):
        return
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    public = _key(VERIFYING, load_pem_public_key, Ed25519PublicKey)
    found = "it has no signature"
    if given is not None:
        try:
            public.verify(base64.b64decode(given, validate=True), _signed(model, key, manifest))
        except (InvalidSignature, binascii.Error):
            found = "its signature is not of that key, or not of these files"
        else:
            return
    where = os.environ[VERIFYING]
    raise ArtifactRefused(f"{said} must be signed, as {VERIFYING}={where} asks, however: {found}")


def refuse_bad_key() -> None:
    """Refuse a PENSTOCK_SIGNING_KEY that cannot sign, before hours are spent.

    Raises:
        SettingsError: the named file holds no Ed25519 private key.

    """
    signature(model="", key="", manifest={})


def _signed(model: str, key: str, manifest: Mapping[str, str]) -> bytes:
    """What is signed: canonical JSON."""
    facts = {"model": model, "key": key, "manifest": dict(manifest)}
    return json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _key(variable: str, load: Callable[[bytes], Any], kind: type) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm

    path = os.environ[variable]
    try:
        found = load(Path(path).expanduser().read_bytes())
    except OSError as error:
        raise SettingsError(f"{variable}={path} must be readable: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        said = " ".join(str(error).split())[:200]
        raise SettingsError(f"{variable}={path} must hold a PEM key, however: {said}") from None
    if not isinstance(found, kind):
        what = f"{kind.__name__.removeprefix('Ed25519')}, found {type(found).__name__}"
        raise SettingsError(f"{variable}={path} must hold an Ed25519 key ({what})")
    return found
