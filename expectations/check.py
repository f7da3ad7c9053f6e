"""Contract -> Great Expectations -> results that can be trusted; the only file that imports it.

- Importing this file costs the seconds that importing GX costs: import it where a table is judged.
- Results are plain Python: `success` may be np.True_, an exception hides in a result, a result
  that judged no cell says success. `rules.py` says which rules run on which columns.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import great_expectations as gx
import pandas as pd
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.registry import get_expectation_impl

from expectations.failure import Failure, shown
from expectations.findings import CheckResult, Outcome
from expectations.rules import Judgement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from expectations.contract import Contract
    from expectations.witnesses import Frame


def check(frame: Frame, contract: Contract) -> CheckResult:
    """Judge a typed table by its contract.

    Args:
        frame: typed columns by exact name, in any order, others beside them ignored; missing
            cells are NaN, NaT or None. Row positions count from 0, whatever the index is. A data
            frame, or a table on disk that gives its columns when they are asked for.
        contract: columns it names that `frame` does not have are not judged here: that they are
            there is `expectations.columns`' to check.

    Raises:
        ValueError: an expectation's own arguments are refused by Great Expectations.

    """
    if not len(frame):
        return _nothing(contract)
    if isinstance(frame, pd.DataFrame):
        frame = frame.set_axis(pd.RangeIndex(len(frame)), axis=0)
    return Judgement(frame, contract, _Engine()).result()


def _nothing(contract: Contract) -> CheckResult:
    failure = Failure(
        rule="table.rows",
        column=None,
        count=1,
        total=1,
        message=f"the table must have at least {contract.min_rows:,} rows, it has none",
        advice="look at data.source: the file holds a header and no records",
    )
    return CheckResult(
        row_failures={}, table_failures=[failure], full={"rows": 0, "engine": None, "results": []}
    )


class _Engine:
    """An ephemeral GX context with one data frame asset."""

    def __init__(self) -> None:
        # The module sets its own level, so that the level of its package does not count.
        logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        source = context.data_sources.add_pandas("table")
        asset = source.add_dataframe_asset("frame")
        self.batches = asset.add_batch_definition_whole_dataframe("whole")
        self.version: str = gx.__version__

    def run(
        self,
        frame: pd.DataFrame,
        suite: Sequence[tuple[str, dict[str, Any]]],
        form: Any,
        where: str = "",
    ) -> list[Outcome]:
        """Run (type, arguments) pairs on one frame; outcomes in the same order."""
        if not suite:
            return []
        made = [
            self._made(kind, values, place, where) for place, (kind, values) in enumerate(suite)
        ]
        batch = self.batches.get_batch(batch_parameters={"dataframe": frame})
        found = batch.validate(gx.ExpectationSuite(name="s", expectations=made), result_format=form)
        outcomes = {_place(r): _outcome(r) for r in found.results}
        return [outcomes[place] for place in range(len(suite))]

    def _made(self, kind: str, values: dict[str, Any], place: int, where: str) -> Any:
        try:
            return get_expectation_impl(kind)(**values, meta={"place": place})
        except Exception as error:
            said = shown(" ".join(str(error).split()), 300)
            raise ValueError(f"{where or kind}: kwargs are refused: {said}") from error


def _place(result: Any) -> int:
    return int(result.expectation_config.meta["place"])


def _outcome(result: Any) -> Outcome:
    found = result.result or {}
    raised = _raised(result.exception_info or {})
    count, missing = found.get("element_count"), found.get("missing_count") or 0
    judged = None if count is None else int(count) - int(missing)
    unexpected = found.get("unexpected_count")
    return Outcome(
        success=bool(result.success) and judged != 0 and not raised,
        error=raised,
        judged=judged,
        unexpected=None if unexpected is None else int(unexpected),
        observed=found.get("observed_value"),
        places=found.get("unexpected_index_list") or (),
        cells=found.get("partial_unexpected_list") or (),
    )


def _raised(info: dict[str, Any]) -> str:
    """Return the exception message of a result, "" where none was raised.

    GX gives one dict, or one per metric keyed by the metric's id.
    """
    infos = [info] if "raised_exception" in info else [v for v in info.values() if v]
    for one in infos:
        if isinstance(one, dict) and one.get("raised_exception"):
            return " ".join(str(one.get("exception_message") or "an exception").split())
    return ""
