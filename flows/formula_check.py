"""One formula, judged node by node: what it yields, and what each column in it must hold.

- Parsed with `ast`, as `models/served.py` will; nothing is executed here or there.
- A column of the source takes the kind that the signs around it ask for.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from flows.formula_functions import (
    ANY,
    BOOLEAN,
    DATE,
    LIST,
    NAMED,
    NUMBER,
    PLAIN,
    SIGNATURES,
    TEXT,
    WORD,
    unknown,
)
from flows.formula_parse import FormulaError, nfc, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
LOGIC = (ast.BitAnd, ast.BitOr)
EQUAL = (ast.Eq, ast.NotEq)
ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


class Check:
    """Walks one formula; every node gives what it yields."""

    def __init__(self, name: str, text: str, known: Mapping[str, str]) -> None:
        """Remember the formula; `known` says what other formulas give."""
        self.name, self.text, self.known = name, text, known
        self.uses: dict[str, str | None] = {}

    def result(self) -> str:
        """Return what the formula gives; `uses` then has its columns."""
        tree = parse(self.name, self.text)
        result = self._yields(tree)
        if isinstance(result, _Column):
            result = self._settled(result, NUMBER)
        if not self.uses:
            raise FormulaError(self.name, f"must use at least one column, found {self.text!r}")
        if result not in (NUMBER, BOOLEAN, TEXT):
            advice = "; take a part (x.dt.year) or the days between two (x - y)"
            said = f"must give a number, a truth or a text, {self.text!r} gives a {result}"
            raise FormulaError(self.name, said + (advice if result == DATE else ""))
        return str(result)

    def _wrong(self, node: ast.AST, message: str) -> FormulaError:
        return FormulaError(self.name, f"{message}, found {self._said(node)}")

    def _said(self, node: ast.AST) -> str:
        text = re.sub(r"col\('([^']*)'\)", r"`\1`", ast.unparse(node))
        return repr(text if len(text) <= 60 else text[:59] + "…")

    def _settled(self, found: str | _Column, want: str) -> str:
        """Let a column of the source be what is wanted of it."""
        if not isinstance(found, _Column):
            return found
        self.uses[found] = self.uses.get(found) or want
        return want

    def _must(self, node: ast.expr, want: str) -> str:
        """Refuse a node that does not yield what is wanted."""
        if want == LIST:
            return self._listed(node)
        found = self._yields(node)
        if want in (PLAIN, WORD):
            if isinstance(node, ast.Constant) and found == (NUMBER if want == PLAIN else TEXT):
                return str(found)
            raise self._wrong(node, f"must be a {want}")
        if want == ANY:
            return str(found)
        got = self._settled(found, want)
        if got != want and {got, want} != {NUMBER, BOOLEAN}:
            if (want, got) == (DATE, TEXT) and isinstance(node, ast.Constant):
                return want
            advice = {NUMBER: "; number(...) reads a text as one", TEXT: "; text(...) makes one"}
            raise self._wrong(node, f"must be a {want}, is a {got}{advice.get(want, '')}")
        return got

    def _listed(self, node: ast.expr) -> str:
        items = node.elts if isinstance(node, ast.List | ast.Tuple) else []
        kinds = {self._yields(item) for item in items if self._plain(item)}
        if not items or not all(map(self._plain, items)) or len(kinds) != 1:
            raise self._wrong(
                node, 'must be a list of plain values of one kind, such as ["a", "b"]'
            )
        return str(kinds.pop())

    @staticmethod
    def _plain(node: ast.expr) -> bool:
        inner = node.operand if isinstance(node, ast.UnaryOp) else node
        return isinstance(inner, ast.Constant)

    def _yields(self, node: ast.expr) -> str | _Column:
        way = getattr(self, f"_on_{type(node).__name__.lower()}", None)
        if way is None:
            raise self._wrong(node, "a formula holds columns, plain values, signs and calls only")
        return way(node)

    def _on_constant(self, node: ast.Constant) -> str:
        kinds = {bool: BOOLEAN, int: NUMBER, float: NUMBER, str: TEXT}
        if type(node.value) not in kinds:
            raise self._wrong(node, "a plain value is a number, a text, True or False")
        return kinds[type(node.value)]

    def _on_name(self, node: ast.Name) -> str | _Column:
        return self._column(nfc(node.id))

    def _column(self, name: str) -> str | _Column:
        self.uses.setdefault(name, None)
        if name in self.known:
            return self.known[name]
        return _Column(name)

    def _on_unaryop(self, node: ast.UnaryOp) -> str:
        want = BOOLEAN if isinstance(node.op, ast.Not | ast.Invert) else NUMBER
        self._must(node.operand, want)
        return want

    def _on_boolop(self, node: ast.BoolOp) -> str:
        for part in node.values:
            self._must(part, BOOLEAN)
        return BOOLEAN

    def _on_ifexp(self, node: ast.IfExp) -> str | _Column:
        self._must(node.test, BOOLEAN)
        return self._one_kind(node, [node.body, node.orelse])

    def _on_binop(self, node: ast.BinOp) -> str:
        if isinstance(node.op, LOGIC):
            self._must(node.left, BOOLEAN)
            self._must(node.right, BOOLEAN)
            return BOOLEAN
        if not isinstance(node.op, ARITHMETIC):
            raise self._wrong(node, "arithmetic is + - * / // % **")
        if isinstance(node.op, ast.Sub):
            sides = [self._yields(node.left), self._yields(node.right)]
            if DATE in sides or self._dates(node):
                for side, of in zip(sides, (node.left, node.right), strict=True):
                    if self._settled(side, DATE) != DATE:
                        raise self._wrong(of, "a date takes another date away, in days")
                return NUMBER
        self._must(node.left, NUMBER)
        self._must(node.right, NUMBER)
        return NUMBER

    def _dates(self, node: ast.BinOp) -> bool:
        """Whether two columns are taken from each other that other signs have made dates."""
        names = [self._direct(side) for side in (node.left, node.right)]
        return all(names) and any(self.uses.get(str(name)) == DATE for name in names)

    @staticmethod
    def _direct(node: ast.expr) -> str | None:
        return nfc(node.id) if isinstance(node, ast.Name) else None

    def _on_compare(self, node: ast.Compare) -> str:
        sides = [node.left, *node.comparators]
        for left, sign, right in zip(sides, node.ops, sides[1:], strict=False):
            if isinstance(sign, ast.In | ast.NotIn):
                self._of_list(left, right)
            elif isinstance(sign, (*EQUAL, *ORDER)):
                kind = self._one_kind(node, [left, right])
                if (
                    kind == TEXT
                    and isinstance(sign, ORDER)
                    and not self._written_dates(left, right)
                ):
                    raise self._wrong(node, "texts have no order here; compare numbers or dates")
            else:
                raise self._wrong(
                    node,
                    "comparisons are == != < <= > >= in, not in; isna(x) asks for a missing cell",
                )
        return BOOLEAN

    def _written_dates(self, *sides: ast.expr) -> bool:
        """Let `when >= "2024-01-01"` make `when` a date."""
        texts = [s.value for s in sides if isinstance(s, ast.Constant) and isinstance(s.value, str)]
        if len(texts) != 1 or not re.fullmatch(
            r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?", texts[0]
        ):
            return False
        other = next((s for s in sides if not isinstance(s, ast.Constant)), None)
        name = self._direct(other) if other is not None else None
        if name in self.uses and name not in self.known:
            self.uses[name] = DATE
            return True
        return False

    def _of_list(self, left: ast.expr, right: ast.expr) -> None:
        kind = self._listed(right)
        found = self._yields(left)
        if self._settled(found, kind) != kind:
            raise self._wrong(left, f"must be a {kind} like the values of the list")

    def _one_kind(self, node: ast.AST, parts: list[ast.expr]) -> str | _Column:
        """Refuse parts of different kinds; columns take the kind of the others."""
        found = [self._yields(part) for part in parts]
        sure = [kind for kind in found if not isinstance(kind, _Column)]
        if not sure:
            return found[0]
        kind = DATE if DATE in sure else sure[0]
        for part, one in zip(parts, found, strict=True):
            got = self._settled(one, kind)
            numbers = {got, kind} == {NUMBER, BOOLEAN}
            date = kind == DATE and got == TEXT and isinstance(part, ast.Constant)
            if got != kind and not numbers and not date:
                raise self._wrong(
                    node, f"both sides must be of one kind, here a {kind} meets a {got}"
                )
        return NUMBER if set(sure) == {NUMBER, BOOLEAN} else kind

    def _on_attribute(self, node: ast.Attribute) -> str | _Column:
        on = node.value
        if isinstance(on, ast.Attribute) and on.attr == "dt":
            return self._apply(node, f"dt.{node.attr}", [on.value], {})
        raise self._wrong(
            node, "a column whose name has a dot stands in backquotes, and a function needs ()"
        )

    def _on_call(self, node: ast.Call) -> str | _Column:
        named = {str(keyword.arg): keyword.value for keyword in node.keywords}
        function = node.func
        if isinstance(function, ast.Name):
            if function.id == "col":
                return self._quoted(node)
            return self._apply(node, function.id, list(node.args), named)
        if not isinstance(function, ast.Attribute):
            raise self._wrong(node, "a function is called by its name")
        name, on = function.attr, function.value
        if isinstance(on, ast.Attribute) and on.attr in ("str", "dt"):
            name, on = f"{on.attr}.{name}", on.value
        return self._apply(node, name, [on, *node.args], named)

    def _quoted(self, node: ast.Call) -> str | _Column:
        one = node.args[0] if len(node.args) == 1 and not node.keywords else None
        if not isinstance(one, ast.Constant) or not isinstance(one.value, str) or not one.value:
            raise self._wrong(node, "col takes a column's name")
        return self._column(nfc(one.value))

    def _apply(
        self, node: ast.AST, name: str, given: list[ast.expr], named: dict[str, ast.expr]
    ) -> str | _Column:
        if name not in SIGNATURES:
            raise FormulaError(self.name, f"calls {name}, {unknown(name)}")
        result, wanted, least = SIGNATURES[name]
        for key in named:
            if key not in NAMED.get(name, ()):
                raise self._wrong(node, f"{name} takes no {key}=")
        spare = [want for want in wanted[len(given) :] if want[0] not in named]
        missing = [want[0] for want in wanted[:least] if want in spare]
        if len(given) > len(wanted) or (missing and not named):
            listed = ", ".join(parameter for parameter, _ in wanted)
            raise self._wrong(node, f"{name} takes {listed}")
        kinds = dict(wanted)
        for part, (_, want) in zip(given, wanted, strict=False):
            if name in ("where", "fillna", "isin", "between") and want in (ANY, LIST):
                continue
            self._must(part, want)
        for key, part in named.items():
            self._must(part, kinds[key])
        return self._related(node, name, given, result)

    def _related(
        self, node: ast.AST, name: str, given: list[ast.expr], result: str
    ) -> str | _Column:
        """Check the values of a call that must be of one kind."""
        if name == "isin":
            self._of_list(*given)
        elif name == "between":
            self._on_compare(
                ast.Compare(
                    left=given[1], ops=[ast.LtE(), ast.LtE()], comparators=[given[0], given[2]]
                )
            )
        elif name in ("where", "fillna"):
            return self._one_kind(node, given[-2:])
        return result


class _Column(str):
    """A column of the source whose kind the formula has not settled yet."""

    __slots__ = ()
