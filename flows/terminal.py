"""What all commands share: their options, one voice for errors, one for JSON."""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.spec import Spec

SpecFile = Annotated[Path, typer.Argument(metavar="SPEC", help="The settings file.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, such as train.seed=1."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


@contextlib.contextmanager
def for_people() -> Iterator[None]:
    """Turn errors into a message and an exit code; a fault of ours keeps its traceback too."""
    from flows.errors import PenstockError

    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except PenstockError as error:
        print(f"penstock: {error}", file=sys.stderr)
        raise typer.Exit(error.exit_code) from None
    except BrokenPipeError:
        raise typer.Exit(0) from None  # `penstock schema | head`
    except Exception as error:  # noqa: BLE001 - the last resort
        traceback.print_exc()
        print(
            f"penstock: a fault of Penstock itself, nothing was published: {type(error).__name__}: "
            f"{error}\n(the lines above say where; please report them)",
            file=sys.stderr,
        )
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        print("penstock: interrupted; nothing was published", file=sys.stderr)
        raise typer.Exit(130) from None


def spec_of(path: Path, overrides: list[str] | None) -> Spec:
    """Read and check the settings of a command."""
    from flows.settings import load_spec

    return load_spec(path, overrides or ())


def write_json(value: Any) -> None:
    """Write one JSON object on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=1, default=str))
