"""A registered model as what batch scoring needs: chunks of raw rows in, answers with a status out.

- Its files were verified before they are loaded, and nothing executable is unpickled.
- Several chunks are answered at once, each by one thread: the graph runs outside Python's lock, and
  threads that share one question wait for each other most of the time.
- `status` is "ok", or the rules of the contract that the row broke; then its answers are null.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

from flows.errors import DataRefused, PenstockError
from flows.tables import frame_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

OK = "ok"
MOST_WORKERS = 8


class Answerer:
    """A model that answers chunks; a context manager that ends its threads."""

    def __init__(self, folder: Path, said: str) -> None:
        """Load the model in `folder`; `said` is what messages call it.

        Raises:
            PenstockError: it does not load.

        """
        import mlflow

        alone = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "OMP_NUM_THREADS": "1"}
        try:
            with _environment(alone):
                self.model = mlflow.pyfunc.load_model(str(folder))
        except Exception as error:
            msg = f"{said} must load, but did not: {error}"
            raise PenstockError(msg) from error
        self.said = said
        self.named = json.loads((self.model.metadata.metadata or {}).get("penstock.columns", "{}"))
        self.workers = min(_cores(), MOST_WORKERS)
        self.pool = ThreadPoolExecutor(self.workers, thread_name_prefix="answer")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the threads; chunks that nobody has begun with are dropped."""
        self.pool.shutdown(cancel_futures=True)

    def schema(self, rows: pa.Schema) -> pa.Schema:
        """Return the columns of the answers to rows of that schema: types, whatever rows say.

        Raises:
            DataRefused: a column of the model is missing.

        """
        import pyarrow as pa

        try:
            found = self.model.predict(self._asked(rows.empty_table()))
        except ValueError as error:
            msg = f"the table must have the model's columns: {error}"
            raise DataRefused(msg) from None
        types = pa.Schema.from_pandas(found, preserve_index=False).remove_metadata()
        return types.append(pa.field("status", pa.string()))

    def answers(
        self, chunks: Iterable[pa.Table], schema: pa.Schema
    ) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield each chunk with its answers, in order; reads little ahead of what is yielded."""
        waiting: deque[Any] = deque()
        for chunk in chunks:
            waiting.append((chunk, self.pool.submit(self._answer, chunk, schema)))
            if len(waiting) > self.workers:
                first, answered = waiting.popleft()
                yield first, answered.result()
        for chunk, answered in waiting:
            yield chunk, answered.result()

    def _answer(self, chunk: pa.Table, schema: pa.Schema) -> pa.Table:
        import pyarrow as pa

        found = self.model.predict(self._asked(chunk), params={"on_bad_row": "null"})
        if len(found) != chunk.num_rows:
            msg = f"{self.said} must answer every row, but did {len(found)} of {chunk.num_rows}"
            raise PenstockError(msg)
        found["status"] = found["bad_row"].where(found["bad_row"] != "", OK)
        columns = [
            pa.array(found[field.name], type=field.type, from_pandas=True) for field in schema
        ]
        return pa.Table.from_arrays(columns, schema=schema)

    def _asked(self, chunk: pa.Table) -> pd.DataFrame:
        """The model's columns as pandas; all where it lacks one, so that its error says which."""
        wanted = [name for name in chunk.column_names if name in self.named]
        whole = len(wanted) == len(self.named) > 0
        return frame_of(chunk.select(wanted) if whole else chunk)


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def _environment(wanted: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
