"""Libraries that only some sources need: imported when they are, or said with what to install."""

from __future__ import annotations

import importlib
from typing import Any

from flows.errors import SettingsError


def needed(module: str, extra: str, what: str) -> Any:
    """Return a module of an optional extra.

    Raises:
        SettingsError: it is not installed; says the command that installs it.

    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if error.name and error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        msg = f"{what} need {module}, which is not installed: pip install 'penstock[{extra}]'"
        raise SettingsError(msg) from None
