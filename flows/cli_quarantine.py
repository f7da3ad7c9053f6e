"""The commands about rows that were set aside: `quarantine list`, `show` and `replay`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.terminal import AsJson, Set, for_people, spec_of, write_json

if TYPE_CHECKING:
    from flows.home import Home
    from flows.spec import Spec

What = Annotated[
    str,
    typer.Argument(
        metavar="RUN|SPEC",
        help="A run's id or its beginning, latest, or a settings file: its newest run.",
    ),
]

quarantine = typer.Typer(
    no_args_is_help=True, help="Rows and files that runs have set aside: list, show, judge again."
)


def add_to(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(quarantine, name="quarantine")


@quarantine.command("list")
def list_(
    spec: Annotated[
        Path | None, typer.Argument(metavar="[SPEC]", help="Only the runs of these settings.")
    ] = None,
    *,
    last: Annotated[int, typer.Option(min=1, help="How many runs, the newest.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the runs that set rows or files aside, the newest first, with counts by rule and part."""
    with for_people():
        from flows import quarantine_words
        from flows.home import find_home
        from flows.quarantine_store import listed

        checked = spec_of(spec, None) if spec else None
        home = find_home(checked.folder if checked else Path.cwd())
        found = listed(home, checked.name if checked else None)[:last]
        if as_json:
            write_json(found)
        else:
            print(quarantine_words.runs(found, str(home.quarantine)))


@quarantine.command()
def show(
    what: What,
    *,
    rule: Annotated[
        str | None, typer.Option(help="Only this rule, column, or pattern: 'age.*'.")
    ] = None,
    rows: Annotated[
        bool, typer.Option("--rows", help="The whole rows as they were loaded, once each.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write all of them to a .csv or .parquet file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show every cell that a run set a row aside for: part, record, rule, column, value."""
    with for_people():
        from flows import quarantine_shown, quarantine_words
        from flows.scored import check_place

        if out is not None:
            check_place(out, "--out")
        home, index, _ = _found(what, None)
        found = quarantine_shown.table(home, index, rule, rows=rows)
        if out is not None:
            quarantine_shown.write(found, out)
            print(f"wrote {found.num_rows:,} lines to {out}")
        elif as_json:
            write_json(found.to_pylist())
        elif not found.num_rows:
            print(quarantine_words.runs([index], ""))  # only files are set aside
        else:
            few = found.slice(0, quarantine_words.LINES_SHOWN).to_pylist()
            text = quarantine_words.whole_rows if rows else quarantine_words.offences
            print(text(few, found.num_rows))


@quarantine.command()
def replay(
    what: What,
    spec: Annotated[
        Path | None, typer.Option(help="Today's settings; left out: those of the run.")
    ] = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Judge the rows of an earlier quarantine again, by today's settings and contract.

    Says how many come back, which still fail and why, and what the champion makes of those that
    come back. Nothing moves: the next run takes them in by itself.
    """
    with for_people():
        from flows import quarantine_words
        from flows.progress import Progress
        from flows.quarantine_replay import replay as judge_again

        home, index, own = _found(what, set_)
        today = spec_of(spec, set_) if spec else own or _settings_of(index, set_)
        with Progress(quiet=as_json) as progress:
            progress.begin("replay")
            found = judge_again(home, index, today, set_ or (), say=progress.step)
        if as_json:
            write_json(found)
        else:
            print(quarantine_words.judged_again(found))


def _found(what: str, set_: list[str] | None) -> tuple[Home, dict[str, Any], Spec | None]:
    """Return the home, the index of the run that is meant, and the settings where they were given."""
    from flows.errors import PenstockError
    from flows.home import find_home
    from flows.quarantine_store import find, listed

    if not what.endswith(".toml"):
        home = find_home(Path.cwd())
        return home, find(home, what), None
    spec = spec_of(Path(what), set_)
    home = find_home(spec.folder)
    known = listed(home, spec.name)
    if not known:
        msg = (
            f"no run of {spec.name} has set anything aside in {home.quarantine} (penstock run keeps "
            "what it sets aside, penstock check counts it)"
        )
        raise PenstockError(msg)
    return home, known[0], spec


def _settings_of(index: dict[str, Any], set_: list[str] | None) -> Spec:
    from flows.errors import SettingsError

    path = Path(index["settings"] or "")
    if not index["settings"] or not path.is_file():
        msg = f"the settings of run {index['run']} are gone ({path}): --spec names today's"
        raise SettingsError(msg)
    return spec_of(path, set_)
