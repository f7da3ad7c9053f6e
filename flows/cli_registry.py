"""The commands about registered models: `why`, `replay`, `promote`, `rollback`, `release`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.terminal import AsJson, Set, for_people, write_json

Reason = Annotated[str, typer.Option("--because", help="Why, for the log.")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="NAME/3 or NAME@challenger.")]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="The registered model's name.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (why, replay, promote, rollback, release):
        app.command()(command)


def why(
    what: Annotated[str, typer.Argument(metavar="RUN|MODEL[@alias]", help="A run id or a model.")],
    as_json: AsJson = False,
) -> None:
    """Say what decided: the verdict in a sentence, and the reasons."""
    with for_people():
        from flows.why import as_text
        from flows.why import why as explain

        answer = explain(what, Path.cwd())
        if as_json:
            write_json(answer)
        else:
            print(as_text(answer))


def replay(
    model: Model,
    set_: Set = None,
    last: Annotated[int, typer.Option(min=1, help="How many versions, the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Judge stored runs again without training, by their own rules or by others.

    By their own rules every verdict must come out as it was; by others, such as
    `--set gate.margin=0.01`, the answer is exploratory and moves no alias.
    """
    with for_people():
        from flows.progress import Progress
        from flows.replay import as_text, unfaithful
        from flows.replay import replay as judge_again

        with Progress(quiet=as_json) as progress:
            progress.begin("replay")
            found = judge_again(model, Path.cwd(), set_ or (), last=last, said=progress.step)
        if as_json:
            write_json(found)
        else:
            print(as_text(found))
        raise typer.Exit(1 if unfaithful(found) else 0)


def promote(version: Version, because: Reason, as_json: AsJson = False) -> None:
    """Put a version in service against or without a verdict; it must have answered as it must."""
    with for_people():
        from flows.by_hand import promote as put
        from flows.home import find_home

        _say(put(find_home(Path.cwd()), version, because), as_json=as_json)


def rollback(model: Model, because: Reason = "", as_json: AsJson = False) -> None:
    """Put the previous champion back in service, and hold what it replaces."""
    with for_people():
        from flows.by_hand import rollback as back
        from flows.home import find_home

        _say(back(find_home(Path.cwd()), model, because), as_json=as_json)


def release(version: Version, as_json: AsJson = False) -> None:
    """Let a version that a rollback holds be promoted again by a verdict."""
    with for_people():
        from flows.by_hand import release as let
        from flows.home import find_home

        _say(let(find_home(Path.cwd()), version), as_json=as_json)


def _say(moved: object, *, as_json: bool) -> None:
    from dataclasses import asdict

    facts = asdict(moved)  # type: ignore[call-overload]
    if as_json:
        write_json(facts)
    else:
        print(facts["sentence"])
