"""The section `[data.http]`: how pages of an HTTP source are asked for, and how patiently.

- A secret stands in the environment: a header that could hold one takes `${NAME}`, never the word.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from flows.duration import seconds_of
from flows.section import Section

SECRET = re.compile(r"auth|token|key|cookie|secret|password|session", re.IGNORECASE)


class HttpSpec(Section):
    """How an http:// or https:// source is fetched; `[data.http]`."""

    headers: dict[str, str] = Field(default={})
    """Headers of every request; ${NAME} stands for an environment variable, and must where a
    header carries a secret: { Authorization = "Bearer ${SHOP_TOKEN}" }."""
    next: str | None = None
    """Where the next page's address stands: "link" for the header `Link: <...>; rel="next"`, else
    the place in a JSON page, such as "paging.next"; left out: no next page."""
    page: str | None = None
    """The query parameter that counts pages, such as "page"; asked for until a page is empty."""
    first: Annotated[int, Field(ge=0)] = 1
    """The number of the first page, for `page`."""
    records: str | None = None
    """The place of the list of rows in a JSON page, such as "data.items"; left out: the page is the
    list."""
    pages: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    """The most pages; a source with more is refused, so that nothing is cut off in silence."""
    timeout: str = "60s"
    """The longest wait for the server to say anything."""
    retries: Annotated[int, Field(ge=0, le=20)] = 4
    """How often a request is tried again that failed for a moment; the waits double from 0.5 s, or
    are what the server asks for."""

    @field_validator("timeout")
    @classmethod
    def _is_duration(cls, value: str) -> str:
        seconds_of(value)
        return value

    @field_validator("headers")
    @classmethod
    def _no_secret(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if SECRET.search(name) and not re.search(r"\$\{\w+\}", text):
                msg = f"{name} must take its secret from the environment, such as ${{MY_TOKEN}}"
                raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> HttpSpec:
        if self.next and self.page:
            raise ValueError("give next or page, not both")
        return self
