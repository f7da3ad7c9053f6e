"""What all sections of the settings file share: strictness, and the types of their values.

- Strict types: `"yes"` is not true, `1.5` is not a count, NaN is not a rate.
- Column names are compared in NFC, the form in which tables are read.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

LARGEST_SEED = 2**63 - 1


def as_tuple(value: Any) -> Any:
    """Let a TOML list, or a single string, stand for a tuple of names."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _nfc(value: str) -> str:
    """A column's name in the form in which tables are read: NFC."""
    return unicodedata.normalize("NFC", value)


Texts = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]
Name = Annotated[str, AfterValidator(_nfc)]
Names = Annotated[tuple[Name, ...], BeforeValidator(as_tuple)]
Kind = Literal["number", "integer", "boolean", "category", "date", "text", "ignored"]
Task = Literal["binary", "multiclass", "regression"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


def refuse(key: str, message: str) -> NoReturn:
    """Refuse a key from the check of a section above it: `key` is dotted, from the file's top."""
    raise PydanticCustomError("value_error", "{said}", {"said": message, "key": key})


class Section(BaseModel):
    """Base of all sections: frozen, strict, no unknown keys, docstrings as descriptions."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )
