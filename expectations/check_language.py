"""The small language in which a person writes what must hold between the cells of one row.

```
start <= end
if status = "paid" then amount present and amount > 0
if `discount code` present then price < 100 and grade in ['a', 'b']
```

- Names with blanks stand in backticks, texts in quotes, dates as 2020-01-31 or 2020-01-31T12:00.
- What a condition means for the kinds of its columns is `cross.py`'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SYMBOLS = ("<=", ">=", "!=", "==", "<", ">", "=")
TOKEN = re.compile(
    r"""\s*(?:
        `(?P<quoted>[^`]+)` | "(?P<double>[^"]*)" | '(?P<single>[^']*)'
      | (?P<date>\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?)
      | (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<symbol><=|>=|!=|==|<|>|=|\[|\]|,)
      | (?P<word>[^\W\d][\w.]*)
    )""",
    re.VERBOSE,
)
WORDS = ("if", "then", "and", "in", "present", "missing", "true", "false")


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What one row must meet: a column, how it is compared, and with what."""

    column: str
    op: str
    """One of < <= > >= = != in present missing."""
    other: str | None = None
    """The column that it is compared with."""
    value: Any = None
    """What it is compared with; a list for `in`, ISO text for dates."""
    ranks: tuple[str, ...] = ()
    """The levels of ordered categories, the lowest first, where their order is compared."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, without what is not said."""
        said = {"column": self.column, "op": self.op, "other": self.other, "value": self.value}
        found = {name: value for name, value in said.items() if value is not None}
        return found | ({"ranks": list(self.ranks)} if self.ranks else {})


def parsed(text: str) -> tuple[list[Condition], list[Condition]]:
    """Return the conditions before and after `then`.

    >>> parsed("a <= b")[1][0].other
    'b'

    Raises:
        ValueError: the text is no check; says where.

    """
    tokens = _Tokens(text)
    when = []
    if tokens.take("if"):
        when = tokens.conditions()
        tokens.need("then")
    then = tokens.conditions()
    if (left := tokens.peek()) is not None:
        raise tokens.wrong(f"and, or the end, found {left[1]!r}")
    return when, then


class _Tokens:
    """The words of a check, taken one after the other."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.found: list[tuple[str, str]] = []
        place = 0
        while text[place:].strip():
            match = TOKEN.match(text, place)
            if match is None:
                raise self.wrong(
                    f"a column, a value or a comparison, found {text[place:].strip()!r}"
                )
            self.found.append((str(match.lastgroup), match[str(match.lastgroup)]))
            place = match.end()
        self.at = 0

    def peek(self) -> tuple[str, str] | None:
        return self.found[self.at] if self.at < len(self.found) else None

    def take(self, *texts: str) -> str | None:
        """Take the next word or symbol if it is one of `texts`."""
        token = self.peek()
        if token is None or token[0] not in ("word", "symbol") or token[1] not in texts:
            return None
        self.at += 1
        return token[1]

    def need(self, *texts: str) -> str:
        token = self.peek()
        if (found := self.take(*texts)) is None:
            raise self.wrong(f"{' or '.join(texts)}, found {token[1] if token else 'the end'!r}")
        return found

    def wrong(self, wanted: str) -> ValueError:
        form = 'such as "a <= b" or \'if a = "x" then b present\''
        return ValueError(f"check must be {form}; {self.text!r} must go on with {wanted}")

    def conditions(self) -> list[Condition]:
        made = [self.condition()]
        while self.take("and"):
            made.append(self.condition())
        return made

    def condition(self) -> Condition:
        column = self.column()
        if column is None:
            token = self.peek()
            raise self.wrong(f"a column, found {token[1] if token else 'the end'!r}")
        if state := self.take("present", "missing"):
            return Condition(column=column, op=state)
        op = self.need(*SYMBOLS, "in", "present", "missing").replace("==", "=")
        if op == "in":
            return Condition(column=column, op=op, value=self.values())
        other = self.column()
        if other is not None:
            return Condition(column=column, op=op, other=other)
        return Condition(column=column, op=op, value=self.value())

    def column(self) -> str | None:
        token = self.peek()
        if token is None or token[0] not in ("word", "quoted"):
            return None
        if token[0] == "word" and token[1] in WORDS:
            return None
        self.at += 1
        return token[1].strip()

    def values(self) -> list[Any]:
        self.need("[")
        made = [self.value()]
        while self.take(","):
            made.append(self.value())
        self.need("]")
        return made

    def value(self) -> Any:
        token = self.peek()
        if token is not None and token[0] == "word" and token[1] in ("true", "false"):
            self.at += 1
            return token[1] == "true"
        if token is None or token[0] not in ("double", "single", "number", "date"):
            raise self.wrong(f"a column or a value, found {token[1] if token else 'the end'!r}")
        self.at += 1
        if token[0] == "number":
            return int(token[1]) if re.fullmatch(r"[+-]?\d+", token[1]) else float(token[1])
        return datetime.fromisoformat(token[1]) if token[0] == "date" else token[1]
