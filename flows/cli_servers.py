"""The commands for servers and schedules: `up`, `down`, `deploy`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.terminal import AsJson, Set, SpecFile, for_people, spec_of, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flows.fleet import Where
    from flows.home import Home

Port = Annotated[
    int | None,
    typer.Option(min=1, max=65535, help="Left out: that of last time, else a free one."),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (up, down, deploy):
        app.command()(command)


def up(
    spec: Annotated[
        Path | None,
        typer.Argument(metavar="[SPEC]", help="Settings whose home and [servers] are used."),
    ] = None,
    *,
    detach: Annotated[bool, typer.Option("--detach", help="Return when all are up.")] = False,
    host: Annotated[
        str | None, typer.Option(help="Another than 127.0.0.1 needs credentials, see the docs.")
    ] = None,
    prefect_port: Port = None,
    mlflow_port: Port = None,
    runs: Annotated[
        int | None, typer.Option(min=1, max=64, help="The most runs under way at once; 2.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Keep a Prefect server, an MLflow server and a worker up, on this machine, until Ctrl-C."""
    with for_people():
        from flows.fleet import Where
        from flows.home import open_home
        from flows.up import up as keep_up
        from flows.up import up_detached

        asked = spec_of(spec, None) if spec else None
        home = open_home(asked.folder if asked else Path.cwd())
        options = {
            "host": host,
            "prefect_port": prefect_port,
            "mlflow_port": mlflow_port,
            "runs": runs,
        }
        given = {name: value for name, value in options.items() if value is not None}
        settings = asked.servers.model_dump() if asked else {}
        where = Where(**{**settings, **given})
        where.check()
        if detach:
            found = up_detached(home, _as_options(where))
            write_json(found) if as_json else _say_up(home, found)
            return

        def say(text: str) -> None:
            print(f"  {text}", file=sys.stderr, flush=True)

        def ready() -> None:
            from flows import servers

            found = servers.living(home.root) or {}
            write_json(found) if as_json else _say_up(home, found)
            sys.stdout.flush()

        keep_up(home, where, say, ready)
        say("all are down; schedules stay, and go on with the next `penstock up`")


def _as_options(where: Where) -> list[str]:
    named = {"--host": where.host, "--runs": where.runs}
    named |= {"--prefect-port": where.prefect_port, "--mlflow-port": where.mlflow_port}
    return [str(part) for option, value in named.items() if value for part in (option, value)]


def _say_up(home: Home, found: Mapping[str, Any]) -> None:
    print(f"home     {home.root}")
    print(f"Prefect  {found['prefect'].removesuffix('/api')}")
    print(f"MLflow   {found['mlflow']}/#/experiments?workflowType=machine_learning")
    print(f"logs     {home.logs}")
    print(
        "next     penstock deploy SPEC puts settings on a schedule; penstock down stops the servers"
    )


def down(
    spec: Annotated[
        Path | None, typer.Argument(metavar="[SPEC]", help="Settings whose home is meant.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Stop the servers of `up`; runs under way go on with the next `up`."""
    with for_people():
        from flows.home import find_home
        from flows.up import down as take_down

        home = find_home(spec_of(spec, None).folder if spec else Path.cwd())
        said: list[str] = []
        were_up = take_down(home, said.append)
        if as_json:
            write_json({"home": str(home.root), "were_up": were_up, "said": said})
            return
        for line in said:
            print(f"  {line}", file=sys.stderr)
        print(
            f"the servers of {home.root} are down" if were_up else f"nothing was up in {home.root}"
        )


def deploy(
    spec: SpecFile,
    set_: Set = None,
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Take it off the servers.")] = False,
    paused: Annotated[
        bool, typer.Option("--paused", help="Keep the schedule still for now.")
    ] = False,
    now: Annotated[bool, typer.Option("--now", help="Start a run at once, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let the servers run SPEC by its schedule; again after a change of that section."""
    with for_people():
        from flows import deploy as deployments

        checked = spec_of(spec, set_)
        if remove:
            done = deployments.remove(checked)
        else:
            done = deployments.deploy(checked, set_ or [], paused=paused, now=now)
        if as_json:
            write_json(done)
            return
        for line in done["said"]:
            print(line)
