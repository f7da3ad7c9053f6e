"""Who accepted what of a contract, and when: the versions of its rules, kept in the file itself."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from expectations.part import Part, Texts


class Acceptance(Part):
    """One acceptance; `[[acceptances]]`, the newest last. Written by `penstock contract accept`."""

    version: Annotated[int, Field(ge=1)]
    """Rises by one with every acceptance."""
    at: datetime
    """When, UTC."""
    by: str
    """Who."""
    what: Texts
    """The ids of the rules that bind since then; `everything` for the whole file."""
    digest: str
    """The contract's digest afterwards: another one means that it was edited by hand since."""
    because: str = ""
    """Why, in the words of who accepted."""
