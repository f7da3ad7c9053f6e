"""The questions of an examination that go through MLflow's real scoring server.

- Every form of JSON that the server takes must be answered as the trained model answers; a bad row
  is an error, or null with its rule, as in the process.
- The server is a fresh process of its own: its peak is the memory that serving takes.
- Part of the fresh process (`models/questions.py`): nothing of this repository is needed.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models import costs
from models.agreement import must, said
from models.asked import Asked, outcomes
from models.wire import FORMS, ScoringServer, WireError, question_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from models.wire import Connection

ONE_ROW_TIMES = 50


def over_http(
    asked: Asked, model: str, environment: Mapping[str, str]
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Ask a real server of `model` what `asked` holds; return the checks and the figures."""
    try:
        with ScoringServer(model, environment=environment) as server:
            figures = {"http_start_seconds": server.wait()}
            with server.connection() as wire:
                checks = outcomes(_questions(asked, wire))
                figures |= _times(asked, wire)
            status = Path(f"/proc/{server.process.pid}/status")
            if status.exists():
                figures["peak_memory_bytes"] = costs.peak(status)
    except (WireError, OSError) as error:
        return [{"name": "scoring server", "ok": False, "detail": said(error)}], {}
    return checks, figures


def _questions(asked: Asked, wire: Connection) -> dict[str, Callable[[], str]]:
    forms = {f"HTTP {form}": partial(_form, asked, wire, form) for form in FORMS}
    return {**forms, "HTTP bad row": lambda: _bad_row(asked, wire)}


def _form(asked: Asked, wire: Connection, form: str) -> str:
    import pandas as pd

    found = pd.DataFrame(wire.ask(_asking(asked.few, form)))
    return f"largest difference {asked.difference(found, asked.answers):.1e}"


def _bad_row(asked: Asked, wire: Connection) -> str:
    """The first of three rows breaks a rule: a refusal that names it, or null with the rule."""
    broken = asked.row_that_breaks()
    if broken is None:
        return "no column has a rule that this text breaks"
    question = _asking(broken[0], "dataframe_records")
    try:
        wire.ask(question)
    except WireError as error:
        heard = str(error)
    else:
        raise AssertionError("no error was raised")
    must(heard.startswith("4"), f"the caller's mistake is answered with {heard[:100]}")
    first, *others = wire.ask({**question, "params": {"on_bad_row": "null"}})
    must(first["prediction"] is None, "the bad row has a prediction")
    must(first["bad_row"].startswith(f"{broken[1]}."), f"its rule is {first['bad_row']!r}")
    must(first["bad_row"] in heard, f"the error does not name {first['bad_row']!r}")
    must(not any(row["bad_row"] for row in others), "other rows have rules")
    return str(first["bad_row"])


def _times(asked: Asked, wire: Connection) -> dict[str, float]:
    question = _asking(asked.few.head(1), "dataframe_records")
    found = costs.one_row(lambda: wire.ask(question), ONE_ROW_TIMES)
    return {f"http_{name}": value for name, value in found.items()}


def _asking(rows: Any, form: str) -> dict[str, Any]:
    return question_of(list(rows.columns), rows.astype(object).to_numpy().tolist(), form)
