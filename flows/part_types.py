"""The types that the cells of all parts of a source fit in.

- Whole numbers of different widths become the wider, whole numbers beside decimals become decimals.
- A column that has missing cells only in one part is of the type that it has in the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations.failure import shown
from flows.errors import DataRefused
from flows.parts import refuse

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pyarrow as pa

    from flows.union import Source


def schema_of(sources: Sequence[Source], names: Collection[str] | None = None) -> pa.Schema:
    """Return the types that all parts' cells fit in, in the first source's order of columns.

    Raises:
        DataRefused: a column is of one type in one part and of another in the next.

    """
    import pyarrow as pa

    known = [(s, p, kinds) for s in sources for p, kinds in enumerate(s.kinds())]
    fields = []
    for name in (n for n in sources[0].columns if names is None or n in names):
        held = [(s, p, kinds.field(name).type) for s, p, kinds in known if name in kinds.names]
        if len({kind for _, _, kind in held}) > 1:  # missing cells fit every type
            held = [one for one in held if not _empty(*one[:2], name)] or held[:1]
        try:
            unified = pa.unify_schemas(
                [pa.schema([(name, kind)]) for _, _, kind in held], promote_options="permissive"
            )
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise other_types(sources[-1].key, error) from None
        fields.append(unified.field(0))
    return pa.schema(fields)


def _empty(source: Source, place: int, name: str) -> bool:
    renames = source.agreed.renames[place]
    old = next((old for old, new in renames.items() if new == name), name)
    stream = source.streams[place]
    try:
        return stream.empty(old)
    except DataRefused as refusal:  # it is told with all the others
        source.late.append((stream.part, refusal))
        return True


def other_types(key: str, error: Exception) -> DataRefused:
    """Return the refusal of parts whose cells fit in no common type."""
    message = f"{key}: parts hold a column in different types: {shown(str(error), 300)}"
    return refuse("parts.types", message, "write all parts with the same types")
