"""What the parts of a contract are made of: frozen, strict objects, and the types of their values."""

from __future__ import annotations

import unicodedata
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def as_tuple(value: Any) -> Any:
    """Let a TOML list stand for a tuple."""
    return tuple(value) if isinstance(value, list) else value


def _as_nfc(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return value
    return tuple(unicodedata.normalize("NFC", v) if isinstance(v, str) else v for v in value)


Texts = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]
Levels = Annotated[tuple[str, ...], BeforeValidator(_as_nfc)]
Mark = Annotated[str, Field(min_length=1, max_length=1)]
Bound = int | float | datetime | date | None


class Part(BaseModel):
    """Base of the contract's parts: frozen, strict, no unknown keys, finite numbers."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )
