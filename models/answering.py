"""What a model answers to all rows of a Parquet file: in order, a chunk at a time.

- A row that the model refuses has null answers and its rules in `bad_row`; no row is left out.
- `label` is the place of the chosen class among the probabilities, -1 where there is none: a
  column of whole numbers with gaps would come back as another type.
- Part of the fresh process (`models/questions.py`): nothing of this repository is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 20_000  # rows; 50 columns of text are 60 MB
SHARE = "probability_"


def answer_all(served: Any, rows: str, out: str, *, chunk: int = CHUNK) -> dict[str, Any]:
    """Write the answers of the loaded model `served` to the rows of the file `rows` into `out`.

    Returns {"rows", "bad_rows", "columns"}. Where the model raises, so does this, and `out` is not
    written.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(rows) as file:
        columns = asked_columns(served, file.schema_arrow.names)
        empty = file.schema_arrow.empty_table().select(columns).to_pandas()
        parts = [
            _answers(served, pa.Table.from_batches([batch]).to_pandas())
            for batch in file.iter_batches(batch_size=chunk, columns=columns)
        ]
    found = pd.concat(parts or [_answers(served, empty)], ignore_index=True)
    draft = Path(f"{out}.part")
    pq.write_table(pa.Table.from_pandas(found, preserve_index=False), draft)
    draft.replace(out)
    bad = int((found["bad_row"] != "").to_numpy().sum())
    return {"rows": len(found), "bad_rows": bad, "columns": list(found.columns)}


def asked_columns(served: Any, names: list[str]) -> list[str]:
    """Return the columns that the model takes; all where it does not say, or where one is missing."""
    import json

    named = json.loads((served.metadata.metadata or {}).get("penstock.columns", "{}"))
    known = [name for name in names if name in named]
    return known if named and len(known) == len(named) else names


def _answers(served: Any, rows: pd.DataFrame) -> pd.DataFrame:
    found = served.predict(rows.reset_index(drop=True), params={"on_bad_row": "null"})
    if len(found) != len(rows):
        raise ValueError(f"a model must answer every row, however: {len(found)} of {len(rows)}")
    shares = [name for name in found.columns if name.startswith(SHARE)]
    found[shares or ["prediction"]] = found[shares or ["prediction"]].astype("float64")
    if shares:
        found["label"] = _labels(found["prediction"], [name.removeprefix(SHARE) for name in shares])
    return found


def _labels(said: pd.Series, classes: list[str]) -> list[int]:
    places: dict[Any, int] = {name: place for place, name in enumerate(classes)}
    if {name.casefold() for name in classes} == {"false", "true"}:  # booleans are predicted as such
        places = {name.casefold() == "true": place for name, place in places.items()}
        said = said.map(lambda label: str(label).casefold() == "true", na_action="ignore")
    answered = said.notna().tolist()
    labels = [label if label in places else str(label) for label in said]
    strange = [
        label for label, here in zip(labels, answered, strict=True) if here and label not in places
    ]
    if strange:
        raise ValueError(f"a prediction must be one of {classes[:10]}, however: {strange[0]!r}")
    return [places[label] if here else -1 for label, here in zip(labels, answered, strict=True)]
