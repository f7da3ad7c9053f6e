"""Batch scoring of a registered model: one source in, predictions with a status per row out.

- Text is read as it was for training: the options travel with the version.
- A bad row is never dropped and never silently scored: its prediction is null, its status names
  the rule that it broke.
- The output appears whole or not at all.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.errors import DataRefused, PenstockError, SettingsError
from flows.home import find_home
from flows.registry import addressed, resolve

if TYPE_CHECKING:
    import pandas as pd

    from flows.home import Home


def score(model: str, source: Path, out: Path, *, spec: Path | None = None) -> dict[str, Any]:
    """Predict the rows of `source` with a registered model and write them to `out`.

    `out` holds the source's columns, then `prediction`, a probability per class and `status`
    ("ok", or the rules that the row broke). `spec` says how text is read; left out: as it was read
    for training.

    Raises:
        SettingsError: `out` is neither Parquet nor CSV.
        DataRefused: the source cannot be read or lacks a column.
        PenstockError: no such model, or it cannot be loaded.

    """
    if out.suffix not in (".parquet", ".csv"):
        msg = f"OUT must end in .parquet or .csv, found {out.name!r}"
        raise SettingsError(msg)
    if not out.absolute().parent.is_dir():
        msg = f"OUT must lie in a folder that exists, found {out.absolute().parent}"
        raise SettingsError(msg)
    import pandas as pd

    home = find_home(spec.absolute().parent if spec else Path.cwd())
    version = resolve(home, model)
    table = _read(source, version.tags.get("penstock.reading"), spec)
    answers = _predict(home, version, table)
    answers["status"] = answers.pop("bad_row").replace("", "ok")
    clash = [name for name in answers.columns if name in table.columns]
    answers.index = table.index
    scored = pd.concat([table.drop(columns=clash), answers], axis=1)
    _write(
        scored,
        out,
        {"model": version.name, "version": str(version.version), "run_id": version.run_id},
    )
    return {
        "model": f"{version.name} version {version.version}",
        "rows": len(scored),
        "bad_rows": int((answers["status"] != "ok").to_numpy().sum()),
        "replaced_columns": clash,
        "out": str(out),
    }


def _read(source: Path, reading: str | None, spec: Path | None) -> pd.DataFrame:
    from flows.data_spec import DataSpec
    from flows.load import read_source
    from flows.settings import load_spec

    if spec:
        data = load_spec(spec).data
    else:
        options = json.loads(reading) if reading else {}
        data = DataSpec(source=str(source), target="-", **options)
    absolute = source.absolute()
    if data.names and not data.header:
        data = _without_target(data, absolute)
    frame = read_source(str(absolute), data, absolute.parent).frame
    return frame.drop(columns=["__source__", "__record__"])


def _without_target(data: Any, source: Path) -> Any:
    """Names for a headerless file that may lack the target: as many as the first record has."""
    import csv

    if source.suffix == ".parquet" or not source.is_file():
        return data
    with source.open(encoding=data.encoding, errors="replace", newline="") as stream:
        quote = data.quote or None
        quoting = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
        lines = csv.reader(stream, delimiter=data.separator, quotechar=quote, quoting=quoting)
        first = next(lines, [])
    if len(first) == len(data.names) - 1:
        return data.model_copy(update={"names": tuple(n for n in data.names if n != data.target)})
    return data


def _predict(home: Home, version: Any, table: pd.DataFrame) -> pd.DataFrame:
    import mlflow

    try:
        with addressed(home):
            model = mlflow.pyfunc.load_model(f"models:/{version.name}/{version.version}")
    except Exception as error:
        msg = f"{version.name} version {version.version} must load, but did not: {error}"
        raise PenstockError(msg) from error
    try:
        return model.predict(table, params={"on_bad_row": "null"})
    except ValueError as error:
        msg = f"the table must have the model's columns: {error}"
        raise DataRefused(msg) from None


def _write(scored: pd.DataFrame, out: Path, facts: dict[str, str]) -> None:
    draft = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        if out.suffix == ".csv":
            scored.to_csv(draft, index=False)
        else:
            import pyarrow as pa
            import pyarrow.parquet as pq

            table = pa.Table.from_pandas(scored, preserve_index=False)
            labelled = {f"penstock.{k}": v for k, v in facts.items()}
            table = table.replace_schema_metadata({**(table.schema.metadata or {}), **labelled})
            pq.write_table(table, draft, write_page_checksum=True)
        draft.replace(out)
    except OSError as error:
        msg = f"{out} must be writable: {error}"
        raise PenstockError(msg) from None
    finally:
        draft.unlink(missing_ok=True)
