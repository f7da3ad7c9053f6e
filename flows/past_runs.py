"""What earlier runs of a name have read, for rules that compare today's table with them.

- Told from the runs' `summary.json`; a run whose data was refused, or never split, does not count.
- Judged at every run and never cached: the clock and the runs before are no input of a stage.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flows.errors import DataRefused
from flows.json_files import read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from expectations.contract import Contract
    from flows.home import Home
    from flows.stage import Artifact

MOST = 200  # run folders that are looked at, the newest


def past_runs(home: Home, name: str) -> list[dict[str, Any]]:
    """Return {"rows", "newest", "started"} of earlier runs of a name, the newest last."""
    found = []
    for path in sorted(home.runs.glob("*/summary.json"), reverse=True)[:MOST]:
        try:
            summary = json.loads(path.read_text(encoding="utf-8"))
            counts = summary["rows"]
            if summary["name"] != name or counts.get("train") is None:
                continue
            newest = (summary.get("contract") or {}).get("newest")
            found.append({"rows": counts["read"], "newest": newest, "started": summary["started"]})
        except (OSError, ValueError, KeyError, TypeError):
            continue  # half written by a killed run, or not ours
    return found[::-1]


def fits_in(
    made: Mapping[str, Artifact], home: Home, name: str, warn: Callable[[str], None]
) -> None:
    """Hold today's table to the contract's `[history]` and `[freshness]`.

    Raises:
        DataRefused: it breaks one of them that is accepted.

    """
    from expectations.contract import Contract
    from expectations.failure import describe
    from expectations.history import failures, newest

    contract = Contract.load(made["contract"].path / "contract.toml")
    if contract.history is None and contract.freshness is None:
        return
    profile = read_json(made["analyze"].path / "profile.json")
    past, now = past_runs(home, name), datetime.now(UTC)
    found = failures(contract, profile["rows"], newest(contract, profile), past, now)
    refusing = [failure for failure in found if failure.severity == "critical"]
    for failure in found:
        if failure.severity == "warning":
            warn(f"{failure.message}; {failure.advice}")
    if refusing:
        headline = "the table does not fit in with earlier runs, or is not fresh"
        raise DataRefused(f"{headline}\n{describe(refusing)}", refusing)


def tables_to_propose(contract: Contract, past: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the tables about earlier runs that a contract without them could have."""
    from expectations.history import fresh_column

    tables: dict[str, dict[str, Any]] = {}
    if past and contract.history is None:
        tables["history"] = {"fewer": 0.5}
    if past and contract.freshness is None and fresh_column(contract) is not None:
        tables["freshness"] = {"may_go_back": False}
    return tables
