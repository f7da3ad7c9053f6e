"""The commands for models that are registered: `score`, `serve`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.terminal import AsJson, for_people, write_json

if TYPE_CHECKING:
    from flows.serve import Serving

Model = Annotated[str, typer.Argument(help="NAME@alias, NAME/version or a models:/ URI.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (score, serve):
        app.command()(command)


def score(
    model: Model,
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN", help="A CSV, TSV or Parquet file, a glob, a folder, or file.py:function."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A .parquet or .csv file to write.")],
    spec: Annotated[Path | None, typer.Option(help="Settings that say how text is read.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Predict the rows of IN with a registered model; every row gets a status."""
    with for_people():
        from flows.scored import check_place

        check_place(out)
        from flows.launch import launch_scoring
        from flows.score import sentence

        done = launch_scoring(model, source, out, spec=spec, quiet=as_json)
        if as_json:
            write_json(done)
            return
        for column in done["replaced_columns"]:
            print(f"  warning: IN has a column {column!r}; OUT holds the model's", file=sys.stderr)
        for status, rows in done["statuses"].items():
            if status != "ok":
                print(f"  {rows:>10,}  {status}", file=sys.stderr)
        print(sentence(done))


def serve(
    model: Model,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any free one.")] = 0,
    host: Annotated[str, typer.Option(help="Another needs --anyone.")] = "127.0.0.1",
    *,
    anyone: Annotated[
        bool, typer.Option("--anyone", help="Whoever reaches the address may ask: no passwords.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Answer rows over HTTP with a registered model, on this machine, until Ctrl-C."""
    with for_people():
        from flows.serve import serve as keep_serving

        def ready(serving: Serving) -> None:
            if as_json:
                write_json(serving.to_json())
            else:
                print(f"{serving.model} version {serving.version} answers at {serving.url}")
                print(f"  {serving.example}")
                print("Ctrl-C ends it")
            sys.stdout.flush()

        keep_serving(model, Path.cwd(), host=host, port=port, anyone=anyone, ready=ready)
        if not as_json:
            print("the scoring server is down", file=sys.stderr)
