"""The commands about the contract: `contract propose`, `contract diff`, `contract accept`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.terminal import AsJson, Set, SpecFile, for_people, spec_of, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

contract = typer.Typer(
    no_args_is_help=True,
    help="What must be true of the table: propose it from the data, compare it, accept it.",
)


def add_to(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(contract, name="contract")


@contract.command()
def propose(spec: SpecFile, set_: Set = None, as_json: AsJson = False) -> None:
    """Write what today's data needs into the contract, beside what stands; make it where none is.

    Nothing that stands in the file changes: new columns come in as proposed and only warn, wider
    ranges, new levels and higher missing shares stand in `proposed` until they are accepted.
    """
    with for_people():
        from flows.contract_review import propose as proposed
        from flows.progress import Progress

        with Progress(quiet=as_json) as progress:
            done = proposed(spec_of(spec, set_), progress)
        _say(done, as_json=as_json)


@contract.command()
def diff(spec: SpecFile, set_: Set = None, as_json: AsJson = False) -> None:
    """Say rule by rule what `propose` would write, and write nothing; ends with 5 if it is anything."""
    with for_people():
        from flows.contract_review import DIFFERS
        from flows.contract_review import diff as differences
        from flows.progress import Progress

        with Progress(quiet=as_json) as progress:
            found = differences(spec_of(spec, set_), progress)
        _say(found, as_json=as_json)
        raise typer.Exit(DIFFERS if found["differs"] else 0)


@contract.command()
def accept(
    spec: SpecFile,
    rule: Annotated[
        list[str] | None, typer.Option(help="One rule, such as age.range; may be repeated.")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="All rules of one column; may be repeated.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who accepts; left out: your login.")] = None,
    because: Annotated[str, typer.Option(help="Why, for the record in the file.")] = "",
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Let proposed rules bind: rows that break them are set aside. Everything, or single rules.

    The file keeps who did it, when, and the digest; its version rises by one.
    """
    with for_people():
        from flows.contract_review import accept as accepted

        done = accepted(
            spec_of(spec, set_), rules=rule or (), columns=column or (), by=by, because=because
        )
        _say(done, as_json=as_json)


def _say(done: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        write_json(done)
        return
    for line, change in zip(done.get("lines", ()), done.get("changes", ()), strict=True):
        print(f"  {line}")
        said = [change["why"]] if change["why"] else []
        said += [_binding(change["rule"], change["what"])] if change["binds"] else []
        if said:
            print(f"      {'; '.join(said)}")
    print(done["sentence"])


def _binding(rule: str, what: str) -> str:
    """Say what becomes of data that a rule does not allow."""
    if what == "not seen":
        return "the rule stays as it is"
    whole = rule.endswith((".missing_share", ".column", ".kind"))
    return f"the rule binds, {'a table beyond it is refused' if whole else 'rows beyond it are set aside'}"
