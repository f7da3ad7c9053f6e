"""Reading a settings file: TOML and `--set` overrides in, a checked `Spec` out.

- Every problem of a file is listed at once: file, line, key, what was found, the nearest right name.
- An override is a TOML value (`train.seed=1`, `data.drop=["a"]`); what is no TOML value is text.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from flows.errors import SettingsError
from flows.spec import Spec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flows.gate_spec import GateSpec

PROBLEMS_SHOWN = 10
LONGEST_VALUE = 60
OTHER_WORDS = {
    "learning_rate": "lr",
    "layers": "depth",
    "hidden": "width",
    "units": "width",
    "batch_size": "batch",
    "n_trials": "trials",
    "timeout": "budget",
    "skiprows": "skip_lines",
    "skip": "skip_lines",
}
"""What others call some of our keys."""
LARGEST_FILE = 1_000_000  # bytes; a settings file is a page


def load_spec(path: Path | str, overrides: Sequence[str] = ()) -> Spec:
    """Read and check the settings in `path`.

    Raises:
        SettingsError: the file cannot be read, or anything in it is wrong.

    """
    file = Path(path).expanduser()
    text = _read(file)
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        msg = f"{file}: not valid TOML: {error}"
        raise SettingsError(msg) from None
    if "path" in values:
        msg = f"{file}:{_line(text, ('path',))}: path: unknown key; a table is named by data.source"
        raise SettingsError(msg)
    for override in overrides:
        _apply(values, override)
    return _checked(values, file, text, overrides)


def gate_with(stored: Mapping[str, Any], overrides: Sequence[str]) -> GateSpec:
    """Return stored rules of `[gate]` with overrides, which may name those rules alone.

    Raises:
        SettingsError: an override names something else, or its value is wrong.

    """
    known = [f"gate.{name}" for name in stored]
    for override in overrides:
        key = override.partition("=")[0].strip()
        if ".".join(_dotted(key)[:2]) not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            msg = f"--set {key}: what is judged again are {', '.join(known)}{hint}"
            raise SettingsError(msg)
    values = {"name": "-", "data": {"source": "-", "target": "-"}, "gate": dict(stored)}
    for override in overrides:
        _apply(values, override)
    return _checked(values, Path("the stored rules"), "", overrides).gate


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > LARGEST_FILE:
            msg = f"{file}: a settings file has at most {LARGEST_FILE:,} bytes, found {file.stat().st_size:,}"
            raise SettingsError(msg)
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        near = difflib.get_close_matches(file.name, [p.name for p in _siblings(file)], n=1)
        hint = (
            f"; did you mean {near[0]}?"
            if near
            else "; `penstock init DATA --target COLUMN` writes one"
        )
        msg = f"settings file not found: {file.absolute()}{hint}"
        raise SettingsError(msg) from None
    except UnicodeDecodeError as error:
        msg = f"{file}: a settings file is UTF-8 text, byte {error.start} is not"
        raise SettingsError(msg) from None
    except OSError as error:
        msg = f"{file}: cannot be read: {error.strerror}"
        raise SettingsError(msg) from None


def _siblings(file: Path) -> Iterable[Path]:
    return file.absolute().parent.glob("*.toml") if file.absolute().parent.is_dir() else ()


def _apply(values: dict[str, Any], override: str) -> None:
    key, sign, raw = override.partition("=")
    if not sign or not key.strip():
        msg = f"--set takes key=value, such as train.seed=1, found {override!r}"
        raise SettingsError(msg)
    try:
        keys = [next(iter(tomllib.loads(f"{part} = 0"))) for part in _dotted(key.strip())]
        value = tomllib.loads(f"v = {raw.strip()}")["v"]
    except tomllib.TOMLDecodeError:
        keys, value = _dotted(key.strip()), raw.strip()
    here = values
    for part in keys[:-1]:
        here = here.setdefault(part, {})
        if not isinstance(here, dict):
            msg = f"--set {override}: {part} is a value in the file, not a section"
            raise SettingsError(msg)
    here[keys[-1]] = value


def _dotted(key: str) -> list[str]:
    """Split a dotted key, respecting quoted parts: a."b.c".d -> a, "b.c", d."""
    return re.findall(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|[^.]+', key)


def _checked(values: dict[str, Any], file: Path, text: str, overrides: Sequence[str]) -> Spec:
    try:
        return Spec.model_validate({**values, "path": file.absolute()})
    except ValidationError as error:
        problems = sorted(_problems(error), key=lambda p: _line(text, p[0]) or 0)
    lines = []
    for keys, message in problems[:PROBLEMS_SHOWN]:
        dotted = ".".join(keys)
        set_here = any(o.partition("=")[0].strip() == dotted for o in overrides)
        line = None if set_here else _line(text, keys)
        where = "--set" if set_here else f"{file}:{line}" if line else str(file)
        lines.append(f"{where}: {dotted}: {message}" if dotted else f"{where}: {message}")
    if len(problems) > PROBLEMS_SHOWN:
        lines.append(f"... and {len(problems) - PROBLEMS_SHOWN} more")
    raise SettingsError("\n".join(lines))


def _problems(error: ValidationError) -> Iterable[tuple[tuple[str, ...], str]]:
    """Yield each problem once; the branches of a union are one problem."""
    merged: dict[tuple[str, ...], list[tuple[dict[str, Any], str]]] = {}
    for item in error.errors(include_url=False):
        named = item.get("ctx", {}).get("key")  # a check of several sections says which it means
        keys = tuple(named.split(".")) if named else _keys(item["loc"])
        merged.setdefault(keys, []).append((dict(item), _message(dict(item), keys)))
    for keys, found in merged.items():
        wanted = list(dict.fromkeys(message for _, message in found))
        value = found[0][0].get("input")
        kind = found[0][0]["type"]
        said = " or ".join(wanted)
        yield (
            keys,
            said
            if kind in ("extra_forbidden", "missing", "value_error")
            else f"{said}, found {_shown(value)}",
        )


def _keys(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys of the file in a pydantic location, without the names of union branches."""
    keys: list[str] = []
    model: Any = Spec
    for part in location:
        if isinstance(part, int):
            break
        if isinstance(model, type) and issubclass(model, BaseModel):
            keys.append(part)
            field = model.model_fields.get(part)
            model = _inner(field.annotation) if field else None
        elif model == "mapping":
            keys.append(part)
            model = None
        elif isinstance(model, tuple):
            keys.append(part)
            model = model[0]
    return tuple(keys)


def _inner(annotation: Any) -> Any:
    """The section class, or a marker for a mapping, behind an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    parts = get_args(annotation)
    if getattr(annotation, "__origin__", None) is dict:
        value = parts[1]
        return (value,) if isinstance(value, type) and issubclass(value, BaseModel) else "mapping"
    sections = [p for p in parts if isinstance(p, type) and issubclass(p, BaseModel)]
    return sections[0] if sections else None


def _message(item: dict[str, Any], keys: tuple[str, ...]) -> str:
    if item["type"] == "extra_forbidden":
        return f"unknown key{_nearest(keys)}"
    if item["type"] == "missing":
        return "is required"
    text = item["msg"].removeprefix("Value error, ").removeprefix("Input should ")
    text = text.replace("be a valid dictionary or instance of", "be a section, written as [..]: ")
    return text if item["type"] == "value_error" else f"must {text}"


def _nearest(keys: tuple[str, ...]) -> str:
    model: Any = Spec
    for key in keys[:-1]:
        if isinstance(model, tuple):
            model = model[0]
            continue
        field = model.model_fields.get(key) if isinstance(model, type) else None
        model = _inner(field.annotation) if field else None
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return ""
    known = [name for name in model.model_fields if name != "path"]
    near = [word] if (word := OTHER_WORDS.get(keys[-1])) in known else []
    near += difflib.get_close_matches(keys[-1], known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]}?"
    elsewhere = [f"{s}.{keys[-1]}" for s, c in _sections().items() if keys[-1] in c.model_fields]
    if elsewhere and len(keys) <= 2:
        return f"; did you mean {elsewhere[0]}?"
    return f"; the keys here are {', '.join(known)}"


def _sections() -> dict[str, type[BaseModel]]:
    inner = {name: _inner(field.annotation) for name, field in Spec.model_fields.items()}
    return {n: c for n, c in inner.items() if isinstance(c, type) and issubclass(c, BaseModel)}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def _line(text: str, keys: tuple[str, ...]) -> int | None:
    """The line on which the key stands, found by following table headers."""
    section: list[str] = []
    best: int | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if header := re.match(r"\[+([^\[\]]+)\]+\s*(#.*)?$", line):
            section = [part.strip("\"' ") for part in _dotted(header[1])]
            here = section
        elif assigned := re.match(r"""((?:"[^"]*"|'[^']*'|[^=#"'])+?)\s*=""", line):
            here = section + [part.strip("\"' ") for part in _dotted(assigned[1])]
        else:
            continue
        if tuple(here) == keys:
            return number
        if tuple(here) == keys[: len(here)] and here:
            best = number
    return best
