"""A process that publishes on command, and dies where it is told to: for the tests of kills and races.

Commands are JSON lines on standard input, an answer each on standard output. Each is done in a
fork of this process, which has imported everything and opened nothing, so that a thousand deaths
cost no start.
"""

import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import alembic  # noqa: F401 - all of these once, for all forks
import mlflow.pyfunc
import mlflow.store.db.utils
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
import pandas  # noqa: ICN001, F401
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import configure_mappers

from flows.home import find_home
from flows.offer import Candidate
from flows.publish import champion, publish
from models.examine import Examiner


class Brisk:
    """The fresh process, asked for answers alone: other tests are about every form of question."""

    def __init__(self, examiner):
        self.examiner = examiner

    def ask(self, command):
        return self.examiner.ask({**command, "whole": False})


class Commits:
    """Counts the process's database commits; kills it right before one of them."""

    def __init__(self, fatal):
        self.seen, self.fatal = 0, fatal
        event.listen(Engine, "commit", self)

    def __call__(self, _connection):
        self.seen += 1
        if self.seen == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


def better(home, candidate, quality):
    """The verdict of a gate in small: more quality than the champion's wins."""
    now = champion(home, candidate.name)
    held = float(now.tags["penstock.quality"]) if now else -1.0
    tags = {
        **candidate.tags,
        "quality": str(quality),
        "verdict": "promoted" if quality > held else "rejected",
    }
    against = int(now.version) if now else None
    return replace(
        candidate, promote=quality > held, compared_with=against, rule="better", tags=tags
    )


def attempts(home, candidate, run, examiner, quality):
    """Publish; whoever lost a race judges again, as a run does."""
    while True:
        asked = candidate if quality is None else better(home, candidate, quality)
        made = publish(home, asked, run, lambda: examiner)
        if not made.raced or quality is None:
            return made


def done(command, examiner):
    home = replace(
        find_home(Path(command["home"]).parent),
        root=Path(command["home"]),
        tracking_uri=command["tracking_uri"],
        prefect_url=command.get("prefect_url"),
        servers=None,
    )
    facts = command["candidate"]
    candidate = Candidate(**{**facts, "folder": Path(facts["folder"])})
    commits = Commits(command.get("fatal"))
    while time.time() < command.get("at", 0):  # the barrier: all begin at once
        pass
    made = attempts(home, candidate, command["run"], examiner, command.get("quality"))
    return {
        "version": made.version,
        "moved": made.moved,
        "unchanged": made.unchanged,
        "raced": made.raced,
        "commits": commits.seen,
    }


def forked(command, examiner):
    """Do a command in a child, and return what it answered or how it ended."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = done(command, examiner)
        except BaseException as error:  # noqa: BLE001 - the test is told
            answer = {"error": f"{type(error).__name__}: {error}"}
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = stream.read()
    _, status = os.waitpid(child, 0)
    return json.loads(said) if said else {"killed": os.waitstatus_to_exitcode(status)}


def main():
    configure_mappers()
    with Examiner() as examiner:
        examiner.ask({"do": "examine", "model": "none", "rows": "none", "expected": "none"})
        print("ready", flush=True)  # noqa: T201 - its answers
        for line in sys.stdin:
            print(json.dumps(forked(json.loads(line), Brisk(examiner))), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
