"""Names, metrics, parameters and tags as MLflow takes them, in calls of a size that it takes.

- MLflow's keys take a few characters only: another name is slugged, told apart by a digest, and
  the tag `penstock.name.<slug>` keeps it.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

METRICS_PER_CALL = 800
ITEMS_PER_CALL = 100
"""Parameters or tags; MLflow takes 100 of each, and 1,000 of all kinds, in one call."""
LONGEST_PARAMETER = 500
LONGEST_TAG = 5000
LONGEST_KEY = 250


def key_of(name: str) -> str:
    """Return `name` where MLflow takes it as a key, else a slug that no other name has."""
    if (
        re.fullmatch(r"[\w\-. /:]{1,250}", name)
        and posixpath.normpath(name) == name
        and not name.startswith(("/", ".."))
        and name != "."
    ):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    slug = re.sub(r"[^\w\-. ]", "_", name).strip(". ")[: LONGEST_KEY - 20]
    return f"{slug or 'name'}-{digest}"


def points_of(curves: Mapping[str, Sequence[float | None]]) -> list[tuple[str, float, int]]:
    """Return the points of curves: name, value, epoch; None is no point."""
    return [
        (name, v, i)
        for name, values in curves.items()
        for i, v in enumerate(values)
        if v is not None
    ]


def calls(
    points: Sequence[tuple[str, float, int]],
    parameters: Mapping[str, Any],
    tags: Mapping[str, str],
    model: str | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield what `log_batch` is called with; points are name, value and step.

    `model` is the id of the logged model that the metrics are about, beside their run.
    """
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    metrics = [
        Metric(key_of(name), float(value), now, step, model_id=model)
        for name, value, step in points
        if value is not None
    ]
    params = [Param(key_of(k), str(v)[:LONGEST_PARAMETER]) for k, v in parameters.items()]
    named = {key_of(name): name for name in (*(p[0] for p in points), *parameters)}
    slugged = {f"penstock.name.{k}"[:LONGEST_KEY]: n for k, n in named.items() if k != n}
    labels = [RunTag(key, value[:LONGEST_TAG]) for key, value in {**tags, **slugged}.items()]
    size = {"metrics": METRICS_PER_CALL, "params": ITEMS_PER_CALL, "tags": ITEMS_PER_CALL}
    items: dict[str, list[Any]] = {"metrics": metrics, "params": params, "tags": labels}
    for i in range(max(-(-len(items[kind]) // size[kind]) for kind in items)):
        yield {k: v[i * size[k] : (i + 1) * size[k]] for k, v in items.items()}


def measured(points: Sequence[tuple[str, float, int, int]]) -> Iterator[dict[str, Any]]:
    """Yield the same for points that know when they were measured: the time is before the step."""
    from mlflow.entities import Metric

    for i in range(0, len(points), METRICS_PER_CALL):
        yield {"metrics": [Metric(*point) for point in points[i : i + METRICS_PER_CALL]]}
