"""Every error that Penstock raises for a person to act on.

PenstockError                 something that must hold does not; exit code 1
├── SettingsError             the settings file or an override is wrong; exit code 2
├── DataRefused               a source cannot be read or breaks its contract; exit code 3
├── ArtifactRefused           the model failed its examination in a fresh process; exit code 4
├── TrainingFailed            no member of the population reached a finite loss; exit code 1
├── OutOfTime                 the run took longer than its schedule allows; exit code 1
├── Doubt                     models cannot be compared; a finding of the gate, which ends no run
└── Busy                      another run of the same name holds the lock; exit code 1
    └── Skipped               the same, where the schedule says that it is to be skipped; exit code 0

A rejected model is not an error: it is a verdict, with exit code 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from expectations.failure import Failure


class PenstockError(Exception):
    """Base of all errors whose message is written for the person who must act."""

    exit_code = 1


class SettingsError(PenstockError, ValueError):
    """A settings file or an override does not describe a run that can be done."""

    exit_code = 2


class DataRefused(PenstockError, ValueError):  # noqa: N818 - the word that users read
    """The data cannot be read, or breaks its contract; carries bounded failures."""

    exit_code = 3

    def __init__(self, message: str, failures: Sequence[Failure] = ()) -> None:
        """Keep the failures beside the message so that reports can list them."""
        super().__init__(message)
        self.failures = list(failures)


class ArtifactRefused(PenstockError, RuntimeError):  # noqa: N818 - the word that users read
    """The exported model did not answer in a fresh process as it did when trained."""

    exit_code = 4


class TrainingFailed(PenstockError, RuntimeError):  # noqa: N818 - the word that users read
    """Training ended without a usable member, for instance because every loss was NaN."""


class Doubt(PenstockError, RuntimeError):  # noqa: N818 - the word that users read
    """A comparison cannot be made, so nothing is concluded; says what was found and what to do."""


class Busy(PenstockError, RuntimeError):  # noqa: N818 - the word that users read
    """Another run of the same name is under way in the same home."""


class Skipped(Busy):
    """A run of a schedule has nothing to do: another is under way, or has seen its data."""

    exit_code = 0


class OutOfTime(PenstockError, RuntimeError):  # noqa: N818 - the word that users read
    """A run of a schedule took longer than `schedule.timeout`."""
