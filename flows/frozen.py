"""The split that an earlier run of a name froze, so that rows keep their sides as data grows.

- Kept per split settings: another seed or another id is another split, and the first one stays.
- The same rows again start from what the recorded split started from, so its stage is reused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.home import file_name
from flows.json_files import read_json, write_json
from flows.stage import digest_of

if TYPE_CHECKING:
    from pathlib import Path

    from flows.spec import Spec


class FrozenSplit:
    """The recorded splits of one name in a home; one JSON file."""

    def __init__(self, root: Path, spec: Spec) -> None:
        """Read nothing yet."""
        self.path = root / "splits" / f"{file_name(spec.name)}.json"
        roles = spec.data.model_dump(include={"id", "group", "time", "target"})
        self.kind = digest_of([spec.split.model_dump(mode="json"), roles])[:32]

    def _all(self) -> dict[str, Any]:
        return read_json(self.path) if self.path.is_file() else {}

    def before(self, clean: str) -> dict[str, Any] | None:
        """The split that one of the rows with digest `clean` has to continue, or None."""
        known = self._all().get(self.kind)
        if known is None:
            return None
        return known["from"] if known["rows"] == clean else known["split"]

    def record(self, clean: str, split: dict[str, Any]) -> None:
        """Remember the split of the rows with digest `clean`."""
        known = self._all()
        old = known.get(self.kind)
        if old is not None and old["rows"] == clean:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        known[self.kind] = {"rows": clean, "from": self.before(clean), "split": split}
        write_json(self.path, known)
