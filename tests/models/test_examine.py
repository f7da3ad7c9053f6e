"""The fresh process: a good model passes every question, a bad one is told apart and named."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import psutil
import pytest

from models import served
from models.agreement import compare
from models.examine import ExamineError, Examiner
from models.graph import DOUBLE, FLOAT, INT64, ML, STRING, Graph

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
    from mlflow.types import ParamSchema, ParamSpec

    folder.mkdir()
    (folder / "graph.onnx").write_bytes(graph())
    (folder / "schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    shutil.copyfile(served.__file__, folder / "served.py")
    wish = ParamSchema([ParamSpec("on_bad_row", "string", "error")])
    mlflow.pyfunc.save_model(
        path=str(folder / "model"),
        python_model=str(folder / "served.py"),
        artifacts={n: str(folder / f"{n}.{e}") for n, e in (("graph", "onnx"), ("schema", "json"))},
        signature=ModelSignature(params=wish),
        pip_requirements=["mlflow"],
        metadata={"penstock.columns": json.dumps({"나이": "number", "city": "category"})},
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
    answer = examiner.ask({**command, "whole": True})
    assert [c for c in answer["checks"] if not c["ok"]] == []
    assert answer["ok"]
    checks = found(answer)
    assert len(checks) >= 10
    assert checks["a bad row is an error, or null with its rule"]["detail"] == "나이.type"
    assert "city" in checks["a missing column is an error that names it"]["detail"]
    assert checks["text that no row holds"]["detail"].startswith("1 of 2 columns")
    assert answer["figures"]["one_row_ms"] > 0
    assert answer["figures"]["peak_memory_bytes"] > 1e7


def test_a_good_model_passes_through_a_real_scoring_server_that_is_gone_afterwards(asked):
    examiner, command, _ = asked
    answer = examiner.ask({**command, "whole": True, "serve": "http"})
    assert [c for c in answer["checks"] if not c["ok"]] == []
    checks = found(answer)
    forms = ("split", "records")
    assert all("difference" in checks[f"HTTP dataframe_{form}"]["detail"] for form in forms)
    assert checks["HTTP bad row"]["detail"] == "나이.type"
    assert answer["figures"]["http_one_row_p95_ms"] >= answer["figures"]["http_one_row_ms"] > 0
    assert psutil.Process(examiner._child.pid).children(recursive=True) == []


def test_a_model_that_cannot_be_served_is_refused_with_what_the_server_said(asked, tmp_path):
    examiner, command, _ = asked
    code = "\nimport sys\nif 'uvicorn' in sys.modules: raise OSError('not here')\n"
    answer = examiner.ask(
        {**command, "model": saved(tmp_path / "m", code=code), "whole": True, "serve": "http"}
    )
    assert [c["name"] for c in answer["checks"] if not c["ok"]] == ["scoring server"]
    assert "not here" in found(answer)["scoring server"]["detail"]


def test_a_model_that_can_do_without_a_column_is_no_fault(asked, tmp_path):
    examiner, command, _ = asked
    code = "\n_own = answer\ndef answer(s, f, *a): return _own(s, f.assign(**({} if 'city' in f else {'city': ''})), *a)\n"
    answer = examiner.ask({**command, "model": saved(tmp_path / "m", code=code), "whole": True})
    assert [c for c in answer["checks"] if not c["ok"]] == []
    assert "나이" in found(answer)["a missing column is an error that names it"]["detail"]


def test_a_missed_budget_says_the_figure_the_budget_and_the_setting(asked):
    examiner, command, _ = asked
    budgets = {"one_row_ms": 1e-3, "one_row_p95_ms": 1e6, "memory_gb": 1e-3}
    answer = examiner.ask({**command, "whole": True, "budgets": budgets})
    assert not answer["ok"]
    missed = [c["name"] for c in answer["checks"] if not c["ok"]]
    assert missed == ["gate.one_row_ms", "gate.memory_gb"]
    detail = found(answer)["gate.one_row_ms"]["detail"]
    figure = answer["figures"]["one_row_ms"]
    assert f"{figure:.2f} ms" in detail
    assert "gate.one_row_ms = 0.001 allows less" in detail
    assert found(answer)["gate.one_row_p95_ms"]["ok"]


@pytest.mark.parametrize(
    ("code", "check"),
    [
        ("_own(s, f, *a).assign(bad_row='') if a[-1] == 'null' else _own(s, f, *a)", "cells of any kind"),
        ("_own(s, f if len(f) < 99 else f.replace('서울', '부산'), *a)", "10,000 rows"),
        ("_own(s, f.iloc[:, :2].set_axis(['나이', 'city'], axis=1), *a)",
         "columns in another order, extra ones, another index"),
        ("_own(s, f, *a) if not any(isinstance(c, list) for c in f['city']) else 1 / 0",
         "cells of any kind"),
        ("_own(s, f.map(lambda c: None if isinstance(c, float) else c), *a)",
         "whole numbers as integers, floats and text"),
        ("_own(s, f, *a) if len(f) else None", "no rows"),
    ],
)  # fmt: skip
def test_a_fault_of_the_served_code_is_found_by_its_question(asked, tmp_path, code, check):
    examiner, command, _ = asked
    planted = f"\n_own = answer\ndef answer(s, f, *a): return {code}\n"
    model = saved(tmp_path / "planted", code=planted)
    answer = examiner.ask({**command, "model": model, "whole": True})
    assert not found(answer)[check]["ok"]


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


def answered(examiner, model, folder, rows, **more):
    out = folder / "answers.parquet"
    command = {"do": "answer", "model": str(model), "rows": str(rows), "out": str(out), **more}
    found = examiner.ask(command)
    return found, pd.read_parquet(out) if found["ok"] else None


def test_all_rows_are_answered_in_order_with_the_bad_ones_null(asked, tmp_path):
    examiner, command, _ = asked
    rows = pd.concat([pd.read_parquet(command["rows"])] * 600, ignore_index=True)
    rows.loc[41_234, "나이"] = "old"
    rows.assign(extra=1)[["extra", "city", "나이"]].to_parquet(tmp_path / "many.parquet")
    found, out = answered(examiner, command["model"], tmp_path, tmp_path / "many.parquet")
    assert (found["rows"], found["bad_rows"]) == (48_000, 1)
    wanted = served.answer(served.open_session(graph()), rows.drop(index=41_234), SCHEMA)
    good = out.drop(index=41_234)
    assert list(good["prediction"]) == list(wanted["prediction"])
    assert np.allclose(good["probability_good"], wanted["probability_good"], atol=1e-7)
    assert list(good["label"]) == [["bad", "good"].index(label) for label in good["prediction"]]
    bad = out.loc[41_234]
    assert (bad["bad_row"], bad["label"]) == ("나이.type", -1)
    assert bad[["prediction", "probability_bad", "probability_good"]].isna().all()


def test_no_rows_and_only_bad_rows_have_answers_of_the_same_types(asked, tmp_path):
    examiner, command, _ = asked
    rows = pd.read_parquet(command["rows"])
    rows.head(0).to_parquet(tmp_path / "none.parquet")
    rows.head(3).assign(나이="old").to_parquet(tmp_path / "bad.parquet")
    none, empty = answered(examiner, command["model"], tmp_path, tmp_path / "none.parquet")
    _, bad = answered(examiner, command["model"], tmp_path, tmp_path / "bad.parquet")
    assert none["rows"] == 0
    assert list(empty) == list(bad)
    assert bad["probability_good"].dtype == empty["probability_good"].dtype == np.float64
    assert set(bad["bad_row"]) == {"나이.type"}


def test_two_versions_in_one_process_answer_with_their_own_code(asked, tmp_path):
    examiner, command, _ = asked
    code = "\n_own = answer\ndef answer(*a): return _own(*a).assign(prediction='good')\n"
    other = saved(tmp_path / "other", code=code)
    for _ in range(2):
        _, first = answered(examiner, command["model"], tmp_path, command["rows"])
        _, second = answered(examiner, other, tmp_path, command["rows"])
        assert set(first["prediction"]) == {"bad", "good"}
        assert set(second["prediction"]) == {"good"}


def test_a_table_without_a_column_of_the_model_is_an_answer_that_names_it(asked, tmp_path):
    examiner, command, _ = asked
    pd.read_parquet(command["rows"]).drop(columns="city").to_parquet(tmp_path / "less.parquet")
    found, _ = answered(examiner, command["model"], tmp_path, tmp_path / "less.parquet")
    assert not found["ok"]
    assert "city" in found["checks"][0]["detail"]
    assert not (tmp_path / "answers.parquet").exists()
