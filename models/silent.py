"""A Lightning Trainer that keeps to itself: no files, no words, and Ctrl+C goes through."""

from __future__ import annotations

import logging
import signal
import tempfile
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytorch_lightning as pl

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def silent_trainer(*, epochs: int, gpu: bool) -> Iterator[pl.Trainer]:
    """Yield a Trainer that writes nothing, says nothing and lets Ctrl+C through."""
    with _quiet():
        trainer = pl.Trainer(
            accelerator="gpu" if gpu else "cpu",
            devices=1,
            max_epochs=epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=tempfile.gettempdir(),
        )
        with _interruptible():
            yield trainer


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl+C through: Lightning would exit the process and ignore the signal from then on."""
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if main else None
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        if handler is not None:
            signal.signal(signal.SIGINT, handler)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's greetings and advice out of a run's output."""
    loggers = [logging.getLogger(n) for n in ("pytorch_lightning", "lightning.fabric")]
    loggers += [logging.getLogger("pytorch_lightning.utilities.rank_zero")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric).*")
            # Gradients lie side by side in one buffer, which torch finds odd; it is quicker so.
            warnings.filterwarnings("ignore", message="grad and param do not obey")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
