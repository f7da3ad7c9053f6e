"""One axis of a sweep's space, as people write it: a value, a list of choices, or a range.

- `width = 128`, `width = [64, 128]`, `width = { low = 64, high = 512, step = 64 }`,
  `lr = { low = 1e-4, high = 1e-2, log = true }`.
- What contradicts itself is refused where it is made: low above high, the logarithm of zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, model_serializer, model_validator

from flows.section import Section

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

Finite = Annotated[float, Field(allow_inf_nan=False)]
MOST_CHOICES = 100


class Axis(Section):
    """Base of axes: a value or a list becomes `values`, and is written back as it was."""

    FORM: ClassVar[str] = "a value or a list of values"
    KIND: ClassVar[tuple[type, ...]] = (str,)

    @model_validator(mode="before")
    @classmethod
    def _from_short(cls, given: Any) -> Any:
        if isinstance(given, cls.KIND) and not isinstance(given, bool):
            return {"values": (given,)}
        if isinstance(given, list | tuple):
            return {"values": tuple(given)}
        if isinstance(given, dict) and isinstance(given.get("values"), list):
            return {**given, "values": tuple(given["values"])}
        if isinstance(given, dict | Axis):
            return given
        msg = f"must be {cls.FORM}, found {given!r}"
        raise ValueError(msg)

    @model_serializer
    def _to_short(self) -> Any:
        values = getattr(self, "values", ())
        if values:
            return list(values) if len(values) > 1 else values[0]
        kept = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: v for name, v in kept.items() if v is not None and v is not False and v != ()}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Say that a value, a list and a range are three ways to write one axis."""
        whole = dict(handler.resolve_ref_schema(handler(core)))
        item = dict(whole["properties"]["values"]["items"])
        text = whole.pop("description", "")
        return {"description": text, "anyOf": [item, {"type": "array", "items": item}, whole]}

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values to choose from; () for a range."""
        return tuple(getattr(self, "values", ()))

    @property
    def single(self) -> bool:
        """Whether there is nothing to choose."""
        ends = getattr(self, "low", None), getattr(self, "high", None)
        return len(self.choices) == 1 or (not self.choices and ends[0] == ends[1])

    @property
    def least(self) -> Any:
        """The smallest value."""
        return min(self.choices) if self.choices else getattr(self, "low", None)

    @property
    def most(self) -> Any:
        """The largest value."""
        return max(self.choices) if self.choices else getattr(self, "high", None)


class Words(Axis):
    """Names to choose from, such as `activation = ["relu", "silu"]`."""

    values: tuple[str, ...] = ()
    """The names."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_choices(self.values)
        return self


class Floats(Axis):
    """Numbers: a value, a list, or `{ low = 1e-4, high = 1e-2, log = true }`."""

    FORM = "a number, a list of numbers, or { low = ..., high = ..., log = true }"
    KIND = (int, float)

    low: Finite | None = None
    """The smallest value."""
    high: Finite | None = None
    """The largest value."""
    log: bool = False
    """Whether equal ratios count as equal distances."""
    step: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """The distance of two neighbours; left out: any number in between."""
    values: tuple[Finite, ...] = ()
    """The numbers to choose from, instead of a range."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_range(self)
        return self


class Whole(Axis):
    """Whole numbers: a value, a list, or `{ low = 64, high = 512, step = 64 }`."""

    FORM = "a whole number, a list of whole numbers, or { low = ..., high = ..., step = ... }"
    KIND = (int,)

    low: int | None = None
    """The smallest value."""
    high: int | None = None
    """The largest value."""
    log: bool = False
    """Whether equal ratios count as equal distances."""
    step: Annotated[int, Field(ge=1)] | None = None
    """The distance of two neighbours."""
    values: tuple[int, ...] = ()
    """The numbers to choose from, instead of a range."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_range(self)
        return self


def _check_choices(values: tuple[Any, ...]) -> None:
    if not values:
        raise ValueError("must hold at least one value to choose from")
    if len(values) > MOST_CHOICES:
        raise ValueError(f"must hold at most {MOST_CHOICES} values, found {len(values)}")
    twice = [value for value in dict.fromkeys(values) if values.count(value) > 1]
    if twice:
        raise ValueError(f"must hold each value once, found {twice[0]!r} twice")


def _check_range(axis: Floats | Whole) -> None:
    ranged = [name for name in ("low", "high", "step") if getattr(axis, name) is not None]
    if "values" in axis.model_fields_set:
        if ranged or axis.log:
            raise ValueError("must be a list of values or a range, found both")
        _check_choices(axis.values)
        return
    if axis.low is None or axis.high is None:
        raise ValueError(f"a range has low and high, found {', '.join(ranged) or 'neither'}")
    if axis.low > axis.high:
        raise ValueError(f"low must be at most high, found low = {axis.low}, high = {axis.high}")
    if axis.log and axis.low <= 0:
        raise ValueError(f"log = true needs low above 0, found low = {axis.low}")
    if axis.log and axis.step is not None:
        raise ValueError("log and step exclude each other: give one")
    if axis.step is not None and axis.step > axis.high - axis.low > 0:
        raise ValueError(f"step must fit between low and high, found {axis.step}")


def within(
    low: float, high: float, *, above: bool = False, below: bool = False
) -> Callable[[Any], Any]:
    """Return a validator: every value of an axis within low..high; `above`, `below`: not equal."""
    words = (
        f"{'above' if above else 'at least'} {low:g} and {'below' if below else 'at most'} {high:g}"
    )

    def check(axis: Floats | Whole | None) -> Floats | Whole | None:
        if axis is not None:
            for value in (axis.least, axis.most):
                under = value <= low if above else value < low
                if under or (value >= high if below else value > high):
                    raise ValueError(f"every value must be {words}, found {value}")
        return axis

    return check


def among(*names: str) -> Callable[[Any], Any]:
    """Return a validator: every word of an axis is one of `names`; the nearest one is suggested."""

    def check(axis: Words | None) -> Words | None:
        import difflib

        for value in axis.values if axis is not None else ():
            if value not in names:
                near = difflib.get_close_matches(value, names, n=1, cutoff=0.4)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                known = ", ".join(map(repr, names))
                raise ValueError(f"must be of {known}, found {value!r}{hint}")
        return axis

    return check
