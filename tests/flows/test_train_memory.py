"""A table twice the memory that the process may have is trained on: what is large is mapped."""

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from flows.tables import Writer

ROWS, COLUMNS, MEMORY = 520_000, 580, 1_200_000_000

TRAINING = """
import json, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[1]),) * 2)
import numpy as np
from flows.spec import Spec
from flows.train import train

place = Path(sys.argv[2])
schema = json.loads((place / "schema.json").read_text())
cells = (int(sys.argv[3]), sum(column["kind"] == "number" for column in schema["columns"]))
try:
    np.ones(cells)
except MemoryError:
    print("the table does not fit")
small = {"members": 1, "epochs": 1, "width": 16, "number_size": 2}
spec = Spec(name="t", data={"source": "a.csv", "target": "y"}, train=small)
(place / "out").mkdir()
facts = train(spec, schema, place / "clean.parquet", place / "ledger.parquet", place / "out",
              print, checkpoints=place / "again")
print(json.dumps(facts))
"""


def write(place):
    """Write clean rows, of which two columns say what the target is, and their ledger."""
    draw = np.random.default_rng(0)
    numbers = [f"n{j}" for j in range(COLUMNS)]
    kinds = {"c": "category", **dict.fromkeys(numbers, "number")}
    schema = {
        "version": 1, "name": "t", "target": "y", "missing": [""], "contract_digest": "d",
        "task": "binary", "columns": [{"name": n, "kind": kind} for n, kind in kinds.items()],
        "target_column": {"name": "y", "kind": "category"}, "role_columns": [], "rules": [],
    }  # fmt: skip
    (place / "schema.json").write_text(json.dumps(schema))
    fields = [("__row__", pa.int64()), ("y", pa.string()), ("c", pa.string())]
    fields += [(name, pa.float64()) for name in numbers]
    with Writer(place / "clean.parquet", pa.schema(fields)) as writer:
        for start in range(0, ROWS, 20_000):
            cells = draw.integers(0, 1000, (COLUMNS, 20_000)).astype(np.float64)
            level = draw.choice(["a", "b", "서울"], 20_000)
            label = np.where(cells[0] + 300 * (level == "a") > 600, "good", "bad")
            cells[1, ::7] = np.nan
            rows = np.arange(start, start + 20_000)
            columns = dict(zip(numbers, cells, strict=True))
            writer.write(pa.table({"__row__": rows, "y": label, "c": level} | columns))
    ledger = [("row", pa.int64()), ("identity", pa.string()), ("side", pa.string())]
    with Writer(place / "ledger.parquet", pa.schema([*ledger, ("fold", pa.int64())])) as writer:
        rows = np.arange(ROWS)
        side = np.select([rows % 10 == 0, rows % 10 == 1], ["test", "validation"], "train")
        identity = [f"{row * 2654435761 % 2**64:016x}" for row in range(ROWS)]
        fold = np.full(ROWS, -1)
        writer.write(pa.table({"row": rows, "identity": identity, "side": side, "fold": fold}))


@pytest.mark.long
def test_a_table_of_twice_the_memory_that_there_is_is_trained_on(tmp_path):
    write(tmp_path)
    assert 8 * ROWS * COLUMNS >= 2 * MEMORY
    command = [sys.executable, "-c", TRAINING, str(MEMORY), str(tmp_path), str(ROWS)]
    # Arrow's own pool takes a gigabyte of addresses at once, which this limit counts.
    plain = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=plain)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "the table does not fit" in done.stdout
    facts = json.loads(done.stdout.splitlines()[-1])
    assert (facts["members"], facts["failed"], facts["epochs"]) == (1, 0, 1)
    assert "rows: more do not fit in memory" in done.stdout
    curves = json.loads((tmp_path / "out" / "curves.json").read_text())
    assert curves["members"][0]["validation"][0] < 0.3  # of a coin's 0.69
    assert not any((tmp_path / "again").iterdir())
