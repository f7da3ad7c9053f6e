"""MLflow's own scoring server over one model, on a socket that the starting process hands over.

- Run as `python -I models/scoring.py SOCKET`, with the model in the environment as MLflow names it;
  `models/wire.py` is the other end. The same application as `mlflow models serve`, without a shell,
  without another environment, and on a port that nobody can take in between.
- It ends with whoever started it: its standard input is a pipe that closes then, however that
  process ended.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading

GRACE = 5  # seconds for answers under way


def main() -> None:
    """Serve until told to stop, or until the starting process is gone."""
    import uvicorn

    listening = socket.socket(fileno=int(sys.argv[1]))
    threading.Thread(target=_end_with_starter, daemon=True).start()
    server = uvicorn.Server(
        uvicorn.Config(
            "mlflow.pyfunc.scoring_server.app:app",
            log_level="warning",
            timeout_graceful_shutdown=GRACE,
        )
    )
    server.run(sockets=[listening])


def _end_with_starter() -> None:
    while os.read(0, 4096):  # unbuffered: a lock held at the end of the process would abort it
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
