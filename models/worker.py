"""A process that trains populations for another: `python -m models.worker`.

- On standard input a line that names the folders of the table and of the jobs, then a job per line,
  all as JSON; on standard output a line when the table is read, one per epoch, and one when a job
  is done.
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

from models.child import own_voice
from models.phase import Job, train_job
from models.stored import load_table

LOG = "worker.log"


def main() -> None:
    """Train what comes."""
    torch.set_num_threads(1)
    out = own_voice()

    def say(facts: dict[str, Any]) -> None:
        out.write(json.dumps(facts) + "\n")
        out.flush()

    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    places = json.loads(lines.get())
    folder = Path(places["folder"])
    _complain_in(folder / LOG)
    encoded = load_table(Path(places["table"]))
    say({"ready": True})
    while True:
        job = Job.of(json.loads(lines.get()))
        train_job(encoded, job, folder, say)
        say({"done": str(folder / job.name)})


def _complain_in(path: Path) -> None:
    """Keep what is written to standard error from now on."""
    with path.open("ab") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
        os.dup2(log.fileno(), sys.stdout.fileno())


def _listen(lines: queue.Queue[str]) -> None:
    """Hand on the lines of standard input; its end is ours, whatever is being trained."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
