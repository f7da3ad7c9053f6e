"""A process that trains populations for another: `python -m models.worker TABLE FOLDER`.

- A job per line on standard input, as JSON; on standard output a line when the table is read, one
  per epoch, and one when a job is done.
- It ends with its input, so that it never outlives the run that it works for.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any

import torch

from models.phase import Job, train_job
from models.stored import load_table


def main(table: Path, folder: Path) -> None:
    """Train what comes."""
    torch.set_num_threads(1)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # only we speak on the pipe

    def say(facts: dict[str, Any]) -> None:
        out.write(json.dumps(facts) + "\n")
        out.flush()

    jobs: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    encoded = load_table(table)
    say({"ready": True})
    while True:
        job = Job.of(json.loads(jobs.get()))
        train_job(encoded, job, folder, say)
        say({"done": str(folder / job.name)})


def _listen(jobs: queue.Queue[str]) -> None:
    """Hand on the lines of standard input; its end is ours, whatever is being trained."""
    for line in sys.stdin:
        jobs.put(line)
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
