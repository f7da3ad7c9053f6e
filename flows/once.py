"""MLflow runs that are made once, although the answer of a server may be lost.

- MLflow's client asks again when a connection breaks, and a server that had done what it was asked
  does it twice. A run carries a mark of its own; whatever else carries it is deleted.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from flows.transient import is_transient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow.tracking import MlflowClient

MARK = "penstock.once"


def create_run(
    client: MlflowClient,
    experiment_id: str,
    *,
    tags: Mapping[str, str],
    start_time: int | None = None,
) -> Any:
    """Create a run and return it; only through a server can an answer be lost."""
    if not client.tracking_uri.startswith("http"):
        return client.create_run(experiment_id, start_time=start_time, tags=dict(tags))
    mark = secrets.token_hex(8)
    marked = {**tags, MARK: mark}
    run = None
    try:
        run = client.create_run(experiment_id, start_time=start_time, tags=marked)
    except Exception as error:
        if not is_transient(error) or not _marked(client, experiment_id, mark):
            raise
    kept, *twins = sorted(
        _marked(client, experiment_id, mark),
        key=lambda one: run is not None and one.info.run_id != run.info.run_id,
    )
    for twin in twins:
        client.delete_run(twin.info.run_id)
    return kept


def _marked(client: MlflowClient, experiment_id: str, mark: str) -> list[Any]:
    return list(client.search_runs([experiment_id], f"tags.`{MARK}` = '{mark}'"))
