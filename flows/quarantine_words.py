"""The quarantine on a terminal: runs, rows and what became of them, in lines for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from expectations.failure import Failure, describe, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RULES_SHOWN = 8
LINES_SHOWN = 20
FILES_SHOWN = 10
UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))  # seconds


def age(written: str, now: datetime | None = None) -> str:
    """How long ago that was: "3 days ago"."""
    then = datetime.fromisoformat(written)
    seconds = max(((now or datetime.now(UTC)) - then).total_seconds(), 0)
    for size, unit in UNITS:
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def runs(indexes: Sequence[Mapping[str, Any]], where: str) -> str:
    """A block per run that set something aside."""
    if not indexes:
        return f"nothing is set aside in {where}"
    return "\n".join(_run(index) for index in indexes)


def _run(index: Mapping[str, Any]) -> str:
    share = index["quarantined"] / index["rows"] if index["rows"] else 0.0
    refused = ", the table was refused" if index["refused"] else ""
    lines = [f"{index['run']}  {shown(index['name'])}  {age(index['written'])}"]
    lines[0] += f": {index['quarantined']:,} of {index['rows']:,} rows ({share:.2%}){refused}"
    by_rule = sorted(index["rules"].items(), key=lambda pair: -pair[1])
    lines += [f"  {count:>10,}  {shown(rule)}" for rule, count in by_rule[:RULES_SHOWN]]
    lines += _more(len(by_rule) - RULES_SHOWN, "rule", 14)
    if len(index["sources"]) > 1:
        parts = [f"{shown(n)} {count:,}" for n, count in list(index["sources"].items())[:5]]
        more = f", and {len(index['sources']) - 5} more" if len(index["sources"]) > 5 else ""
        lines.append(f"    in {', '.join(parts)}{more}")
    files = index["files"]
    lines += [
        f"      file  {shown(each['name'])} ({each['bytes']:,} bytes): {shown(each['reason'], 200)}"
        for each in files[:FILES_SHOWN]
    ]
    return "\n".join(lines + _more(len(files) - FILES_SHOWN, "file", 12))


def _more(count: int, noun: str, indent: int) -> list[str]:
    if count <= 0:
        return []
    return [f"{'':{indent}}... and {count:,} more {noun}{'' if count == 1 else 's'}"]


def offences(lines: Sequence[Mapping[str, Any]], total: int) -> str:
    """The offences of a run, the first of them."""
    said = []
    for each in lines:
        where = f"{shown(each['source'])}:{each['record']:,}" if each["source"] else each["record"]
        cell = shown(each["value"]) if each["value"] else "<missing>"
        column = "" if each["column"] is None else f"{shown(each['column'])} = {cell}"
        said.append(f"  {where}  {shown(each['rule'])}  {column}".rstrip())
    if total > len(lines):
        said.append(f"... and {total - len(lines):,} more (--out FILE writes all of them)")
    return "\n".join(said)


def whole_rows(found: Sequence[Mapping[str, Any]], total: int) -> str:
    """Rows as they were loaded, a block each."""
    said = []
    for row in found:
        said.append(
            f"{shown(row['__source__'])}:{row['__record__']:,}  {shown(row['__rules__'], 200)}"
        )
        cells = {k: v for k, v in row.items() if not (k.startswith("__") and k.endswith("__"))}
        said += [f"  {shown(name)} = {shown(cell)}" for name, cell in cells.items()]
    if total > len(found):
        said.append(f"... and {total - len(found):,} more rows (--out FILE writes all of them)")
    return "\n".join(said)


def judged_again(found: Mapping[str, Any]) -> str:
    """What became of the rows that a run had set aside."""
    contract = found["contract"]
    state = "accepted" if contract["accepted"] else "proposed"
    since = "changed since" if contract["changed"] else "the same as then"
    when = f"{found['run']} ({age(found['written'])})"
    rows = f"{found['rows']:,} row{'s' * (found['rows'] != 1)}"
    lines = [
        f"{shown(found['name'])}: {rows} of run {when}, judged again",
        f"  by {found['settings']} and its contract ({state}, {since})",
        f"  {found['back']:>10,}  come back",
        f"  {found['still']:>10,}  still fail",
    ]
    for rule, counts in list(found["rules"].items())[:RULES_SHOWN]:
        lines.append(f"  {'':>10}  {shown(rule)}: {counts['then']:,} then, {counts['now']:,} now")
    lines += _more(len(found["rules"]) - RULES_SHOWN, "rule", 14)
    failures = [Failure.from_json(each) for each in found["failures"]]
    if failures:
        lines += [f"  {line}" for line in describe(failures, 5).splitlines()]
    lines += [_limit(each, found["of"]) for each in found["limits"]]
    lines += [_file(each) for each in found["files"]]
    lines += [f"  note: {note}" for note in found["notes"]]
    lines.append(f"  effect: {found['effect']['sentence']}")
    if found["effect"].get("notes"):
        lines.append(f"  note: {found['effect']['notes']}")
    return "\n".join([*lines, *_next(found)])


def _limit(limit: Mapping[str, Any], total: int) -> str:
    share = limit["rows"] / total if total else 0.0
    word = "more than" if limit["over"] else "within"
    return (
        f"  {shown(limit['name'])}: {limit['rows']:,} of {total:,} rows ({share:.2%}) would still be set "
        f"aside, {word} the {100 * limit['allowed']:.6g}% of data.max_fraction"
    )


def _file(file: Mapping[str, Any]) -> str:
    if file["rows"] is not None:
        return f"  file {shown(file['name'])}: can be read now, {file['rows']:,} rows"
    return f"  file {shown(file['name'])}: still cannot be read: {shown(file['reason'], 200)}"


def _next(found: Mapping[str, Any]) -> list[str]:
    readable = any(each["rows"] is not None for each in found["files"])
    if not found["back"] and not readable:
        return []
    changed = {name: state for name, state in found["sources"].items() if state != "unchanged"}
    same = " with the same --set" if found["overrides"] else ""
    lines = [f"next: `penstock run {found['settings']}`{same} takes them in by itself"]
    if not changed:
        lines[0] += ": their source still holds them"
        return lines
    said = ", ".join(f"{shown(name)} is {state}" for name, state in list(changed.items())[:5])
    more = f", and {len(changed) - 5} more parts" if len(changed) > 5 else ""
    return [f"{lines[0]} as far as their source still holds them: {said}{more}"]


def effect_sentence(facts: Mapping[str, Any]) -> str:
    """The champion on the rows that come back, beside its test rows."""
    called = f"the champion, version {facts['version']},"
    lost = [
        f"{count:,} {why}"
        for count, why in (
            (facts["rows"] - facts["known"], "without a target that it knows"),
            (facts["learned"], "that it was made from"),
            (facts["unanswered"], "that it cannot answer"),
        )
        if count
    ]
    without = f" ({', '.join(lost)} left out)" if lost else ""
    if (name := facts["told"]) is None:
        return f"no returned row can be measured with {called}{without}"
    here, there = facts["metrics"][name], facts["test"][name]
    said = (
        f"{called} has {name} {_interval(here)} on {facts['measured']:,} returned rows{without}, and "
        f"{_interval(there)} on its {facts['test_rows'] or 0:,} test rows"
    )
    return f"{said}: {_verdict(facts['difference'])}"


def _interval(found: Mapping[str, Any]) -> str:
    if found.get("value") is None:
        return "an unknown value"
    if found.get("low") is None:
        return f"{found['value']:.4g}"
    return f"{found['value']:.4g} [{found['low']:.4g}, {found['high']:.4g}]"


def _verdict(difference: Mapping[str, Any] | None) -> str:
    from expectations.metrics import METRICS

    if difference is None:
        return "too little to tell the two apart"
    if difference["low"] <= 0 <= difference["high"]:
        return "no difference that these rows could show"
    better = (difference["value"] > 0) == (METRICS[difference["metric"]].direction == "max")
    return f"they are {'easier' if better else 'harder'} for it than its test rows"
