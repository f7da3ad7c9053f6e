"""Question a served model in a fresh process, as a stranger who has only mlflow would.

- Run as `python -I models/questions.py`: it loads its libraries, says {"ready": true}, and answers
  one JSON command per line; `models/examine.py` is the other end.
- Nothing of this repository, and no torch, scikit-learn or Prefect, can be imported by the model
  there; pickle is refused. This file's own siblings are loaded by path before that door is shut,
  and then let go of: they import nothing but each other, the standard library, numpy and pandas.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

OURS = {"expectations", "flows", "models", "great_expectations", "optuna", "prefect"}
FORBIDDEN = OURS | {"lightning", "onnx", "onnxscript", "pytorch_lightning", "sklearn", "torch"}
COMMANDS = ("examine", "answer")


class Refuse(importlib.abc.MetaPathFinder):
    """Refuses to import what a consumer need not have."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Raise ModuleNotFoundError for a forbidden package; leave the rest to others."""
        del path, target
        name = fullname.partition(".")[0]
        if name in FORBIDDEN:
            message = f"{fullname} must not be needed to serve a model"
            raise ModuleNotFoundError(message, name=name)


def main() -> None:
    """Get ready, say so, and answer commands until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not look like an answer
    examiner = Stranger()
    sys.meta_path.insert(0, Refuse())
    import mlflow.pyfunc
    import onnxruntime
    import pandas as pd

    del mlflow, onnxruntime, pd
    examiner.note_libraries()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin.buffer:
        try:
            answer = examiner.obey(json.loads(line))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is the answer
            said = f"{type(error).__name__}: {error}"[:1000]
            answer = {"ok": False, "checks": [{"name": "examined", "ok": False, "detail": said}]}
        print(json.dumps(answer), file=answers, flush=True)


class Stranger:
    """Who questions models, with the files beside this one and nothing else of the repository."""

    def __init__(self) -> None:
        """Load the files beside this one by path, wherever this process was started."""
        _as_package(Path(__file__).resolve().parent)
        from models import costs
        from models.answering import answer_all, asked_columns
        from models.asked import Asked
        from models.over_http import over_http

        self.costs, self.asked, self.over_http = costs, Asked, over_http
        self.answer_all, self.asked_columns = answer_all, asked_columns
        for name in [name for name in sys.modules if name.partition(".")[0] == "models"]:
            del sys.modules[name]
        self.libraries = 0

    def note_libraries(self) -> None:
        """Measure the memory that the libraries take before any model."""
        self.libraries = self.costs.resident()

    def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Do what a command says; `do` is one of COMMANDS, `examine` where it is left out."""
        wish = command.pop("do", "examine")
        if wish not in COMMANDS:
            raise ValueError(f"do must be one of {', '.join(COMMANDS)}, however: {wish!r}")
        return getattr(self, wish)(**command)

    def answer(
        self, model: str, rows: str, out: str, *, tracking_uri: str | None = None
    ) -> dict[str, Any]:
        """Write a model's answers to all rows of a Parquet file; see `answering.answer_all`.

        Returns {"ok", "rows", "bad_rows", "columns"}.
        """
        return {"ok": True, **self.answer_all(_load(model, tracking_uri), rows, out)}

    def examine(
        self,
        model: str,
        rows: str,
        expected: str,
        *,
        tracking_uri: str | None = None,
        tolerance: float = 1e-5,
        whole: bool = True,
        serve: str = "process",
        budgets: Mapping[str, float | None] | None = None,
    ) -> dict[str, Any]:
        """Load a model, compare its answers with the expected ones, and ask in other forms.

        Args:
            model: URI or path of an MLflow model.
            rows: Parquet file of raw rows, the model's columns among them.
            expected: Parquet file of the answers to these rows, in order.
            tracking_uri: where `model` is looked up; None leaves MLflow's own.
            tolerance: allowed difference of a probability, or of a value in standard deviations.
            whole: whether every form of question is asked and costs are measured, or the rows alone.
            serve: "http" asks through a real scoring server too, where `whole`.
            budgets: the most that `one_row_ms`, `one_row_p95_ms`, `memory_gb` may be; None: any.

        Returns {"ok", "checks": [{"name", "ok", "detail"}], "figures": {...}}.
        """
        import pandas as pd

        memory, started = self.costs.Memory(), time.perf_counter()
        served = _load(model, tracking_uri)
        figures: dict[str, Any] = {"load_seconds": time.perf_counter() - started}
        given, wanted = pd.read_parquet(rows), pd.read_parquet(expected)
        kinds = json.loads((served.metadata.metadata or {}).get("penstock.columns", "{}"))
        given = given[self.asked_columns(served, list(given.columns))]
        asked = self.asked(served, given, wanted, tolerance, kinds)
        checks = asked.run(whole=whole)
        if whole:
            figures |= self.costs.one_row(lambda: served.predict(given.head(1)))
            figures |= asked.figures()
        figures["model_memory_bytes"] = memory.added()
        figures["peak_memory_bytes"] = self.libraries + figures["model_memory_bytes"]
        if whole and serve == "http":
            more, found = self.over_http(asked, model, _addresses(tracking_uri))
            checks, figures = checks + more, figures | found
        if whole:
            checks += self.costs.kept_to(budgets or {}, figures)
        return {"ok": all(check["ok"] for check in checks), "checks": checks, "figures": figures}


def _as_package(folder: Path) -> None:
    """Make `models` the files in `folder`, whatever is installed."""
    spec = importlib.util.spec_from_file_location(
        "models", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None:
        raise ImportError(f"{folder} must hold this process's own files")
    sys.modules["models"] = importlib.util.module_from_spec(spec)


def _addresses(tracking_uri: str | None) -> dict[str, str]:
    names = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
    return dict.fromkeys(names, tracking_uri) if tracking_uri else {}


def _load(model: str, tracking_uri: str | None) -> Any:
    import mlflow

    if tracking_uri:
        mlflow.set_tracking_uri(tracking_uri)
        mlflow.set_registry_uri(tracking_uri)
    return mlflow.pyfunc.load_model(model)


if __name__ == "__main__":
    main()
