"""The command line; imports nothing heavy until a command runs.

Exit codes: 0 promoted, kept, unchanged or dry run; 2 settings; 3 data refused; 4 a floor failed or
the model did not answer as it must; 1 anything else.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows import cli_contract, cli_models, cli_quarantine, cli_registry, cli_servers
from flows.terminal import AsJson, Set, SpecFile, for_people, spec_of, write_json

EXIT_CODES = {"rejected": 4, "refused": 3, "failed": 1}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From a table and a short settings file to a registered model that has earned its place.",
)


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


@app.command()
def init(
    source: Annotated[str, typer.Argument(metavar="DATA", help="A file, pattern or address.")],
    target: Annotated[
        str | None, typer.Option(help="The column to predict: its name, or its number from 1.")
    ] = None,
    test: Annotated[str | None, typer.Option(help="A given test file.")] = None,
    names: Annotated[
        str | None, typer.Option(help="Column names of a headerless file: a,b,c.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the experiment and the model.")] = None,
    derive: Annotated[
        list[str] | None, typer.Option(help="A derived column: 'tipped = tips > 0.2 * fare'.")
    ] = None,
    query: Annotated[str | None, typer.Option(help="The rows of a database: a SELECT.")] = None,
    sheet: Annotated[str | None, typer.Option(help="The sheet of a workbook.")] = None,
    skip_lines: Annotated[
        int | None, typer.Option(min=0, help="Lines above the header; left out: as found.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Overwrite settings that exist.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a settings file for DATA, and say what was decided and why."""
    with for_people():
        from flows.begin import begin
        from flows.propose_source import Asked

        asked = Asked(derive=derive or (), query=query, sheet=sheet, skip_lines=skip_lines)
        done = begin(
            source, target=target, test=test, names=names, name=name, force=force, asked=asked
        )
        if as_json:
            write_json(done)
            return
        for line in done["decisions"]:
            print(f"  {line}")
        for line in done["warnings"]:
            print(f"  warning: {line}")
        print(f"wrote {' and '.join(filter(None, (done['settings'], done['contract'])))}")
        print(f"next: penstock run {shlex.quote(done['settings'])}")


@app.command()
def check(spec: SpecFile, set_: Set = None, as_json: AsJson = False) -> None:
    """Do everything short of training: read, profile, contract, split."""
    with for_people():
        from flows.check import check as check_spec
        from flows.progress import Progress

        with Progress() as progress:
            facts = check_spec(spec_of(spec, set_), progress)
        if as_json:
            write_json(facts)
        else:
            print(facts["sentence"])


@app.command()
def plan(spec: SpecFile, set_: Set = None, as_json: AsJson = False) -> None:
    """Say which stages would run, and which change caused it."""
    with for_people():
        from flows.home import find_home
        from flows.plan import planned

        checked = spec_of(spec, set_)
        steps = planned(checked, find_home(checked.folder))
        if as_json:
            write_json([{"stage": s.name, "reused": s.reused, "reason": s.reason} for s in steps])
            return
        for step in steps:
            print(f"  {step.name:<10} {'reused' if step.reused else 'runs':<7} {step.reason}")


@app.command()
def run(spec: SpecFile, set_: Set = None, as_json: AsJson = False) -> None:
    """Make a model from SPEC and publish it if it has earned its place."""
    with for_people():
        from flows.launch import launch
        from flows.verdict import as_text

        checked = spec_of(spec, set_)
        summary, error = launch(checked, set_ or [], quiet=as_json)
        if as_json:
            write_json(summary)
        if error is not None:
            raise error
        if not as_json:
            print(as_text(summary))
        raise typer.Exit(EXIT_CODES.get(summary["verdict"]["outcome"], 0))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check the installation and the home, and say what to do."""
    with for_people():
        from flows.doctor import examine

        findings = examine(Path.cwd())
        if as_json:
            write_json(findings)
        else:
            for finding in findings:
                print(
                    f"  {'ok ' if finding['ok'] else 'BAD'} {finding['what']}: {finding['found']}"
                )
                if finding["advice"]:
                    print(f"      do: {finding['advice']}")
        raise typer.Exit(0 if all(finding["ok"] for finding in findings) else 1)


@app.command()
def schema() -> None:
    """Print the JSON schema of the settings file."""
    from flows.spec import Spec

    write_json(Spec.model_json_schema())


@app.command()
def clean(
    everything: Annotated[bool, typer.Option("--cache", help="Remove the whole cache.")] = False,
    days: Annotated[int, typer.Option(min=0, help="Remove what is older than this.")] = 90,
    gigabytes: Annotated[float, typer.Option(min=0, help="Largest size of the cache.")] = 20.0,
) -> None:
    """Remove old cached stages, run folders and quarantined rows; never models or their runs."""
    with for_people():
        from flows.home import find_home
        from flows.retention import retire

        home = find_home(Path.cwd())
        removed = retire(home, days=days, gigabytes=0.0 if everything else gigabytes)
        print(f"removed {len(removed)} from {home.root}")


cli_contract.add_to(app)
cli_models.add_to(app)
cli_quarantine.add_to(app)
cli_registry.add_to(app)
cli_servers.add_to(app)
