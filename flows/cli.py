"""The command line; imports nothing heavy until a command runs.

Exit codes: 0 promoted, kept, unchanged or dry run; 2 settings; 3 data refused; 4 a floor failed or
the model did not answer as it must; 1 anything else.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.spec import Spec

EXIT_CODES = {"rejected": 4, "refused": 3, "failed": 1}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From a table and a short settings file to a registered model that has earned its place.",
)

SpecFile = Annotated[Path, typer.Argument(metavar="SPEC", help="The settings file.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, such as train.seed=1."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


def main() -> None:
    """Run the command line; leave without the seconds that tearing down the frameworks takes."""
    code = 0
    try:
        app()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    with contextlib.suppress(OSError):  # whoever read the output may have left
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


@contextlib.contextmanager
def _for_people() -> Iterator[None]:
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


def _spec(path: Path, overrides: list[str] | None) -> Spec:
    from flows.settings import load_spec

    return load_spec(path, overrides or ())


def _out(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=1, default=str))


@app.command()
def init(
    source: Annotated[str, typer.Argument(metavar="DATA", help="A CSV, TSV or Parquet file.")],
    target: Annotated[
        str, typer.Option(help="The column to predict: its name, or its number from 1.")
    ],
    test: Annotated[str | None, typer.Option(help="A given test file.")] = None,
    names: Annotated[
        str | None, typer.Option(help="Column names of a headerless file: a,b,c.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the experiment and the model.")] = None,
    force: Annotated[bool, typer.Option(help="Overwrite settings that exist.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a settings file for DATA, and say what was decided and why."""
    with _for_people():
        from flows.begin import begin

        done = begin(source, target=target, test=test, names=names, name=name, force=force)
        if as_json:
            _out(done)
            return
        for line in done["decisions"]:
            print(f"  {line}")
        for line in done["warnings"]:
            print(f"  warning: {line}")
        print(f"wrote {done['settings']} and {done['contract']}")
        print(f"next: penstock run {done['settings']}")


@app.command()
def check(spec: SpecFile, set_: Set = None, as_json: AsJson = False) -> None:
    """Do everything short of training: read, profile, contract, split."""
    with _for_people():
        from flows.check import check as check_spec
        from flows.progress import Progress

        with Progress() as progress:
            facts = check_spec(_spec(spec, set_), progress)
        if as_json:
            _out(facts)
        else:
            print(facts["sentence"])


@app.command()
def plan(spec: SpecFile, set_: Set = None, as_json: AsJson = False) -> None:
    """Say which stages would run, and which change caused it."""
    with _for_people():
        from flows.home import open_home
        from flows.plan import planned

        checked = _spec(spec, set_)
        steps = planned(checked, open_home(checked.folder))
        if as_json:
            _out([{"stage": s.name, "reused": s.reused, "reason": s.reason} for s in steps])
            return
        for step in steps:
            print(f"  {step.name:<10} {'reused' if step.reused else 'runs':<7} {step.reason}")


@app.command()
def run(spec: SpecFile, set_: Set = None, as_json: AsJson = False) -> None:
    """Make a model from SPEC and publish it if it has earned its place."""
    with _for_people():
        from flows.launch import launch
        from flows.verdict import as_text

        checked = _spec(spec, set_)
        summary, error = launch(checked, set_ or [], quiet=as_json)
        if as_json:
            _out(summary)
        if error is not None:
            raise error
        if not as_json:
            print(as_text(summary))
        raise typer.Exit(EXIT_CODES.get(summary["verdict"]["outcome"], 0))


@app.command()
def score(
    model: Annotated[str, typer.Argument(help="NAME@alias, NAME/version or a models:/ URI.")],
    source: Annotated[Path, typer.Argument(metavar="IN", help="A CSV, TSV or Parquet file.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A .parquet or .csv file to write.")],
    spec: Annotated[Path | None, typer.Option(help="Settings that say how text is read.")] = None,
    as_json: AsJson = False,
) -> None:
    """Predict the rows of IN with a registered model; every row gets a status."""
    with _for_people():
        from flows.score import score as score_file

        done = score_file(model, source, out, spec=spec)
        if as_json:
            _out(done)
        else:
            for column in done["replaced_columns"]:
                print(
                    f"  warning: IN has a column {column!r}; OUT holds the model's", file=sys.stderr
                )
            print(
                f"{done['rows']:,} rows scored by {done['model']}, {done['bad_rows']:,} bad; wrote {out}"
            )


@app.command()
def why(
    what: Annotated[str, typer.Argument(metavar="RUN|MODEL[@alias]", help="A run id or a model.")],
    as_json: AsJson = False,
) -> None:
    """Say what decided: the verdict in a sentence, and the reasons."""
    with _for_people():
        from flows.why import why as explain

        answer = explain(what, Path.cwd())
        if as_json:
            _out(answer)
        else:
            print("\n".join([answer["sentence"], *(f"  {line}" for line in answer["reasons"])]))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check the installation and the home, and say what to do."""
    with _for_people():
        from flows.doctor import examine

        findings = examine(Path.cwd())
        if as_json:
            _out(findings)
        else:
            for finding in findings:
                print(
                    f"  {'ok ' if finding['ok'] else 'BAD'} {finding['what']}: {finding['found']}"
                )
        raise typer.Exit(0 if all(finding["ok"] for finding in findings) else 1)


@app.command()
def schema() -> None:
    """Print the JSON schema of the settings file."""
    from flows.spec import Spec

    _out(Spec.model_json_schema())


@app.command()
def clean(
    everything: Annotated[bool, typer.Option("--cache", help="Remove the whole cache.")] = False,
    days: Annotated[int, typer.Option(min=0, help="Remove what is older than this.")] = 90,
    gigabytes: Annotated[float, typer.Option(min=0, help="Largest size of the cache.")] = 20.0,
) -> None:
    """Remove old cached stages, run folders and quarantined rows; never models or their runs."""
    with _for_people():
        from flows.home import open_home, retire

        home = open_home(Path.cwd())
        removed = retire(home, days=days, gigabytes=0.0 if everything else gigabytes)
        print(f"removed {len(removed)} from {home.root}")
