"""The text of a formula as a tree, and what is wrong where it is none.

- A column whose name is no Python name stands in backquotes, as in pandas' `query`.
"""

from __future__ import annotations

import ast
import re
import unicodedata

LONGEST = 1_000  # characters of a formula
DEEPEST = 50  # nested parentheses, signs and calls


class FormulaError(ValueError):
    """A formula is wrong; `name` says which."""

    def __init__(self, name: str, message: str) -> None:
        """Keep the column's name beside the message."""
        super().__init__(message)
        self.name = name


def nfc(name: str) -> str:
    """Return a column's name in the form in which tables are read."""
    return unicodedata.normalize("NFC", name.strip())


def parse(name: str, text: str) -> ast.expr:
    """Return the tree of an expression, as the interpreter parses it.

    Raises:
        FormulaError: it is empty, too long, or no expression.

    """
    if not text.strip() or len(text) > LONGEST:
        raise FormulaError(name, f"a formula has 1 to {LONGEST:,} characters, found {len(text):,}")
    if text.count("`") % 2:
        raise FormulaError(name, f"a backquote is open in {text!r}")
    plain = re.sub(r"`([^`]*)`", lambda found: f" col({nfc(found[1])!r}) ", text)
    try:
        tree = ast.parse(f"({plain.strip()})", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = getattr(error, "msg", None) or str(error)
        advice = "a column whose name is no plain word stands in backquotes: `my column` > 3"
        raise FormulaError(name, f"is no expression ({said}): {text!r}; {advice}") from None
    if _depth(tree) > DEEPEST:
        raise FormulaError(name, f"a formula is nested at most {DEEPEST} deep: {text[:60]!r}...")
    return tree


def _depth(tree: ast.AST) -> int:
    deepest, stack = 0, [(tree, 1)]
    while stack:
        node, depth = stack.pop()
        deepest = max(deepest, depth)
        stack += [(child, depth + 1) for child in ast.iter_child_nodes(node)]
    return deepest


def names_in(name: str, text: str) -> set[str]:
    """Return the columns that an expression names, before it is checked."""
    found: set[str] = set()
    functions = set()
    for node in ast.walk(parse(name, text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            functions.add(id(node.func))
            if node.func.id == "col" and node.args and isinstance(node.args[0], ast.Constant):
                found.add(str(node.args[0].value))
        elif isinstance(node, ast.Name) and id(node) not in functions:
            found.add(nfc(node.id))
    return found
