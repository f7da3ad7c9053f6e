"""Runs of a model whose answers are known, up to where the referee is asked: real stages, a real
registry, a graph of one line.

A `Night` has a table, settings and the stages up to the split; `Arena` registers its model or lets
it meet the one in service.
"""

import json
import shutil

import numpy as np
import pandas as pd

from flows.home import open_home, prepare_tracking
from flows.json_files import read_json, write_json
from flows.maker import Maker
from flows.progress import Progress
from flows.publish import Candidate, publish
from flows.referee import referee
from flows.registry import client
from flows.settings import load_spec
from flows.sides import answered, judged
from flows.tables import write_parquet
from models import served
from models.graph import DOUBLE, FLOAT, INT64, Graph

NAME = "결투"
STAGES = ("load", "analyze", "contract", "engineer", "validate", "split")
SETTINGS = """
name = "결투"
[data]
source = "table.csv"
target = "grade"
id = "key"
[split]
folds = 0
[gate]
min_referee = 20
"""


def table(rows=400, seed=0, first=0):
    """Rows whose grade follows `x`, with a number that says nothing, a group and a day."""
    random = np.random.default_rng(seed)
    x = random.normal(size=rows)
    good = random.random(rows) < 1 / (1 + np.exp(-2 * x))
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(first, first + rows), "h")
    return pd.DataFrame(
        {
            "key": [f"k{i}" for i in range(first, first + rows)],
            "x": x.round(6),
            "noise": random.normal(size=rows).round(6),
            "house": [f"h{i // 4}" for i in range(first, first + rows)],
            "day": days.strftime("%Y-%m-%dT%H:%M:%S"),
            "grade": np.where(good, "yes", "no"),
        }
    )


def graph(columns, slope, labels, flip):
    """Probability of the last label: a sigmoid of `slope` times x; missing is 0."""
    made = Graph()
    numbers = made.input("numbers", DOUBLE, ("N", len(columns)))
    filled = made.add("Where", made.add("IsNaN", numbers), made.constant(0.0), numbers)
    weights = np.array([[slope if name == "x" else 0.0] for name in columns])
    score = made.add("MatMul", filled, made.constant(weights))
    if not labels:
        made.output("value", made.reshape(score, -1), DOUBLE, ("N",))
        return made.model().SerializeToString()
    share = made.add("Sigmoid", score)
    rest = made.add("Sub", made.constant(1.0), share)
    both = made.add("Concat", *((share, rest) if flip else (rest, share)), axis=1)
    made.output("probabilities", made.add("Cast", both, to=FLOAT), FLOAT, ("N", 2))
    made.output("label", made.add("ArgMax", both, axis=1, keepdims=0), INT64, ("N",))
    return made.model().SerializeToString()


def empty_database(folder):
    """Make an MLflow database in which nothing has happened; return its path."""
    home = open_home(folder)
    prepare_tracking(home)
    return home.root / "mlflow.db"


class Night:
    """One run: its table, its settings, its stages, and a model of a known slope."""

    def __init__(self, arena, frame, *overrides, slope=2.0, labels=("no", "yes"), schema=None):
        self.arena, self.slope, self.evidence = arena, slope, {}
        frame.to_csv(arena.folder / "table.csv", index=False)
        self.spec = load_spec(arena.folder / "spec.toml", overrides)
        self.spec.contract_path.unlink(missing_ok=True)  # proposed anew from this table
        self.maker = Maker(self.spec, arena.home, Progress(quiet=True))
        self.made = {name: self.maker.make(name).path for name in STAGES}
        self.place = arena.folder / f"night-{next(arena.numbers)}"
        self._export(list(labels), schema or {})

    def _export(self, labels, changes):
        model = self.place / "export" / "model"
        model.mkdir(parents=True)
        self.made["export"] = model.parent
        reading = read_json(self.made["validate"] / "schema.json")
        numbers = [c["name"] for c in reading["columns"] if c["kind"] in ("number", "integer")]
        schema = {k: v for k, v in reading.items() if k not in ("role_columns", "target_column")}
        schema |= {"numbers": numbers, "categories": []}
        flip = False
        if reading["task"] != "regression":
            flip = labels == ["yes", "no"]
            schema |= {"classes": labels, "class_kind": "text"}
        self.serving = schema | changes
        write_json(model / "schema.json", self.serving)
        kind = labels if reading["task"] != "regression" else []
        (model / "graph.onnx").write_bytes(graph(numbers, self.slope, kind, flip))
        shutil.copyfile(served.__file__, model / "served.py")
        self.session = served.open_session(str(model / "graph.onnx"))
        raw = pd.read_parquet(self.made["load"] / "table.parquet")
        rows = raw[[c["name"] for c in self.serving["columns"] if c["name"] in raw]].head(64)
        text = rows.head(2).to_json(orient="records", force_ascii=False)
        (model / "input_example.json").write_text(text, encoding="utf-8")
        answers = served.answer(self.session, rows, self.serving, on_bad_row="null")
        rows = rows[(answers["bad_row"] == "").to_numpy()].reset_index(drop=True)
        write_parquet(rows, model.parent / "questions.parquet")
        answers = served.answer(self.session, rows, self.serving)
        write_parquet(answers, model.parent / "answers.parquet")

    def assess(self):
        """Leave what the referee needs of `flows.assess`: answers to the test rows, and a metric."""
        if "assess" in self.made:
            return
        out = self.made["assess"] = self.place / "assess"
        out.mkdir()
        schema = read_json(self.made["validate"] / "schema.json")
        clean, ledger = (
            self.made["validate"] / "clean.parquet",
            self.made["split"] / "ledger.parquet",
        )
        known = judged(self.spec, schema, self.serving, ledger, clean)
        _, answers, _ = answered(known, self.session, self.made["load"] / "table.parquet")
        write_parquet(answers, out / "test.parquet")
        metric = "rmse" if known.task == "regression" else "roc_auc"
        evidence = {"version": 1, "task": known.task, "classes": known.classes, "metric": metric}
        evidence |= {"metrics": {"test": {}}, "ladder": [], **self.evidence}
        write_json(out / "evidence.json", evidence)

    def remember(self):
        """Freeze the split, as a run does at its end."""
        from flows.frozen import FrozenSplit

        record = FrozenSplit(self.arena.home.root, self.spec)
        record.record(
            self.maker.made["validate"].digest, read_json(self.made["split"] / "split.json")
        )

    @property
    def ledger(self):
        return pd.read_parquet(self.made["split"] / "ledger.parquet")


class Arena:
    """A home with a registry, and the settings of the runs in it."""

    def __init__(self, folder, examiner, settings=SETTINGS, database=None):
        from itertools import count

        self.folder, self.examiner, self.numbers = folder, examiner, count()
        (folder / "spec.toml").write_text(settings, encoding="utf-8")
        self.home = open_home(folder)
        if database:  # of a home where nothing has happened: making one takes seconds
            shutil.copyfile(database, self.home.root / "mlflow.db")
            (self.home.locks / "mlflow.ready").touch()
        prepare_tracking(self.home)
        self.client = client(self.home)
        place = self.home.artifacts.as_uri()
        self.experiment = self.client.create_experiment("e", artifact_location=place)

    def night(self, frame, *overrides, **options):
        return Night(self, frame, *overrides, **options)

    def run(self):
        return self.client.create_run(self.experiment).info.run_id

    def register(self, night, key="a" * 64, *, folder="gate", promote=True, rule="better"):
        """Publish the night's model, with its ledger among the artifacts of its MLflow run."""
        run = self.run()
        if folder:
            for name in ("ledger.parquet", "split.json"):
                self.client.log_artifact(run, str(night.made["split"] / name), folder)
        exported = night.made["export"]
        made = publish(
            self.home,
            Candidate(
                name=night.spec.name,
                key=key,
                run=f"run-{key[:4]}",
                folder=exported / "model",
                questions={
                    "rows": str(exported / "questions.parquet"),
                    "expected": str(exported / "answers.parquet"),
                    "tolerance": 1e-5,
                },
                promote=promote,
                rule=rule,
            ),
            run,
            lambda: self.examiner,
        )
        return self.client.get_model_version(night.spec.name, str(made.version))

    def meet(self, night, key="b" * 64, run_id=None, examiner=None):
        """Let the night's model meet the champion; return the facts and the lines of the bundle."""
        night.assess()
        folder = night.place / "gate"
        facts = referee(
            night.spec,
            self.home,
            night.made,
            lambda: examiner or self.examiner,
            key=key,
            run=f"run-{key[:4]}",
            run_id=run_id or self.run(),
            folder=folder,
        )
        assert json.loads((folder / "referee.json").read_text("utf-8")) == {"version": 1, **facts}
        return facts, pd.read_parquet(folder / "referee.parquet")
