"""The fresh process: a good model passes every question, a bad one is told apart and named."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest

from models import served
from models.examine import ExamineError, Examiner
from models.graph import DOUBLE, FLOAT, INT64, ML, STRING, Graph
from models.questions import compare

SCHEMA = {
    "version": 1, "name": "t", "task": "binary", "target": "y", "missing": [""],
    "columns": [{"name": "나이", "kind": "number"}, {"name": "city", "kind": "category"}],
    "rules": [{"id": "나이.range", "column": "나이", "type": "range", "min": 0, "max": 200}],
    "classes": ["bad", "good"], "class_kind": "text", "numbers": ["나이"], "categories": ["city"],
}  # fmt: skip


def graph():
    """Probability of "good": a sigmoid of a number and a known city."""
    made = Graph()
    number = made.input("numbers", DOUBLE, ("N", 1))
    city = made.input("categories", STRING, ("N", 1))
    code = made.add("LabelEncoder", city, domain=ML, keys_strings=["서울", ""],
                    values_int64s=[1, 0], default_int64=0)  # fmt: skip
    gap = made.add("Where", made.add("IsNaN", number), made.constant(50.0), number)
    score = made.add("Sub", made.add("Mul", gap, made.constant(0.02)), made.constant(1.0))
    share = made.add("Sigmoid", made.add("Add", score, made.add("Cast", code, to=DOUBLE)))
    both = made.add("Concat", made.add("Sub", made.constant(1.0), share), share, axis=1)
    made.output("probabilities", made.add("Cast", both, to=FLOAT), FLOAT, ("N", 2))
    made.output("label", made.add("ArgMax", both, axis=1, keepdims=0), INT64, ("N",))
    return made.model().SerializeToString()


def saved(folder, code=""):
    """Save an MLflow model from code, as publishing does; return its path."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    folder.mkdir()
    (folder / "graph.onnx").write_bytes(graph())
    (folder / "schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    shutil.copyfile(served.__file__, folder / "served.py")
    inputs = Schema([ColSpec(AnyType(), n, required=False) for n in ("나이", "city")])
    wish = ParamSchema([ParamSpec("on_bad_row", "string", "error")])
    mlflow.pyfunc.save_model(
        path=str(folder / "model"),
        python_model=str(folder / "served.py"),
        artifacts={n: str(folder / f"{n}.{e}") for n, e in (("graph", "onnx"), ("schema", "json"))},
        signature=ModelSignature(inputs=inputs, params=wish),
        pip_requirements=["mlflow"],
    )
    with (folder / "model" / "served.py").open("a", encoding="utf-8") as source:
        source.write(code)
    return str(folder / "model")


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A saved model, its questions, and one process for all tests."""
    folder = tmp_path_factory.mktemp("examine")
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "나이": [str(n) if n else "" for n in rng.integers(0, 99, 80)],
            "city": rng.choice(["서울", "부산", ""], 80),
        }
    )
    rows.to_parquet(folder / "rows.parquet")
    session = served.open_session(graph())
    served.answer(session, rows, SCHEMA).to_parquet(folder / "expected.parquet")
    command = {
        "model": saved(folder / "good"),
        "rows": str(folder / "rows.parquet"),
        "expected": str(folder / "expected.parquet"),
        "whole": False,
    }
    with Examiner() as examiner:
        yield examiner, command, folder


def found(answer):
    return {check["name"]: check for check in answer["checks"]}


def test_a_good_model_passes_every_question(asked):
    examiner, command, _ = asked
    answer = examiner.ask({**command, "whole": True, "rows_timed": 1000})
    assert [c for c in answer["checks"] if not c["ok"]] == []
    assert answer["ok"]
    checks = found(answer)
    assert len(checks) >= 10
    assert checks["a bad row is an error, or null with its rule"]["detail"] == "나이.type"
    assert "city" in checks["a missing column is an error that names it"]["detail"]
    assert checks["text that no row holds"]["detail"].startswith("1 of 2 columns")
    assert answer["figures"]["one_row_ms"] > 0
    assert answer["figures"]["peak_memory_bytes"] > 1e7


def test_another_answer_than_training_gave_is_found(asked):
    examiner, command, folder = asked
    wanted = pd.read_parquet(command["expected"])
    wanted.loc[3, ["probability_bad", "probability_good"]] += [0.01, -0.01]
    wanted.to_parquet(folder / "other.parquet")
    answer = examiner.ask({**command, "expected": str(folder / "other.parquet")})
    assert not answer["ok"]
    assert "row 3 differs by 1.00e-02" in found(answer)["answers as expected"]["detail"]


@pytest.mark.parametrize("name", ["torch", "sklearn", "flows.errors", "prefect"])
def test_a_model_that_needs_more_than_a_consumer_has_is_refused(asked, name):
    examiner, command, folder = asked
    model = saved(folder / name, code=f"\nimport {name}\n")
    answer = examiner.ask({**command, "model": model})
    assert not answer["ok"]
    assert f"{name.partition('.')[0]}" in answer["checks"][0]["detail"]
    assert "must not be needed to serve a model" in answer["checks"][0]["detail"]


def test_a_pickled_model_is_refused(asked):
    import mlflow

    class Pickled(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input

    examiner, command, folder = asked
    path = str(folder / "pickled")
    mlflow.pyfunc.save_model(path=path, python_model=Pickled(), pip_requirements=["mlflow"])
    answer = examiner.ask({**command, "model": path})
    assert not answer["ok"]
    assert "pickle" in answer["checks"][0]["detail"].lower()


def test_a_model_that_is_not_there_is_an_answer_not_a_crash(asked):
    examiner, command, folder = asked
    assert not examiner.ask({**command, "model": str(folder / "nothing")})["ok"]
    assert examiner.ask(command)["ok"]


def test_a_process_that_does_not_answer_is_ended(asked):
    _, command, _ = asked
    with Examiner() as examiner, pytest.raises(ExamineError, match="did not answer in time"):
        examiner.ask(command, timeout=0.01)
    assert examiner._child.poll() is not None


def test_a_process_that_dies_says_why(asked, tmp_path):
    _, command, _ = asked
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no such library >&2\nexit 3\n")
    python.chmod(0o755)
    with (
        Examiner(python=str(python)) as examiner,
        pytest.raises(ExamineError, match="no such library"),
    ):
        examiner.ask(command)


def test_closing_ends_only_its_own_process(asked):
    kept, command, _ = asked
    other = Examiner()
    other.close()
    other.close()
    assert kept.ask(command)["ok"]
    os.kill(kept._child.pid, 0)


def test_labels_may_differ_only_on_the_edge():
    one = pd.DataFrame({"prediction": ["a"], "probability_a": [0.5], "probability_b": [0.5]})
    with pytest.raises(AssertionError, match="1 labels differ"):
        compare(one.assign(prediction="b"), one, 1e-5)
    with pytest.raises(AssertionError, match="answers to"):
        compare(one, pd.concat([one, one]), 1e-5)
