"""SQL as a source, through SQLAlchemy: the rows of one query, typed as the database types them.

- `source = "sql:${SHOP_DATABASE}"` with `data.query`; the address stands in the environment, a
  path to an SQLite file may stand in the settings.
- The query runs in a transaction that is rolled back; SQLite files are opened to read only.
- Rows come in pieces and are kept as Parquet in the home. Without ORDER BY a database may give
  another order, and with it another digest.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from expectations.failure import shown
from flows.failed import away, refuse
from flows.transient import is_transient
from flows.typed_cells import NoCell, columns_of, joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from flows.addresses import Address
    from flows.data_spec import DataSpec
    from flows.fetched import Place

ROWS = 20_000  # fetched at once
FINAL = ("password authentication", "does not exist", "no pg_hba.conf", "Access denied")
"""What a database says in an error of its line that will not pass by itself."""
DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


def fetch(address: Address, data: DataSpec, place: Place) -> list[tuple[str, Path]]:
    """Return the rows of the query as one Parquet file.

    Raises:
        DataRefused: there is no query, the database refuses it, or it is away.

    """
    import pyarrow.parquet as pq
    import sqlalchemy as sa
    from sqlalchemy import exc

    if not data.query:
        message = f"{address.key} is a database, so data.query must say which rows"
        raise refuse("source.query", message, 'such as query = "SELECT * FROM orders ORDER BY id"')
    engine = _engine(address, place)
    try:
        with engine.connect() as line:
            table = _table(line.execution_options(stream_results=True), sa.text(data.query))
    except (NoCell, exc.SQLAlchemyError, sqlite3.Error) as error:
        refusal = _refused(address, error)
    else:
        path = place.path("rows.parquet")
        pq.write_table(table, place.draft(path), compression="zstd", write_page_checksum=True)
        return [(address.shown, place.keep(path))]
    finally:
        engine.dispose()
    raise refusal


def _engine(address: Address, place: Place) -> Any:
    import sqlalchemy as sa
    from sqlalchemy import exc

    try:
        url = sa.make_url(address.url)
        url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
        if url.get_backend_name() == "sqlite":
            return _sqlite(url.database or "", address, place)
        return sa.create_engine(url, pool_pre_ping=False)
    except (exc.ArgumentError, exc.NoSuchModuleError) as error:
        message = f"{address.key} must be a database address, {address.shown} is not one"
        advice = f"see SQLAlchemy's forms ({address.safe(str(error))})"
        raise refuse("source.address", message, advice) from None
    except ImportError as error:
        extra = ": pip install 'penstock[postgres]'" if "psycopg" in str(error) else ""
        message = f"{address.shown} needs the driver {error.name}, which is not installed{extra}"
        raise refuse("source.driver", message, "install it beside Penstock") from None


def _sqlite(database: str, address: Address, place: Place) -> Any:
    """Open an SQLite file to read; SQLAlchemy's own way would make one that is not there."""
    import sqlalchemy as sa

    path = Path(database).expanduser()
    path = path if path.is_absolute() else place.base / path
    if not path.is_file():
        message = f"{address.key}: no file at {path}"
        raise refuse("source.missing", message, "correct the path")
    uri = f"file:{quote(str(path))}?mode=ro"
    return sa.create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=sa.NullPool
    )


def _table(line: Any, query: Any) -> pa.Table:
    found = line.execute(query)
    if not found.returns_rows:
        raise NoCell("the query gives no rows; it must be a SELECT")
    names = list(found.keys())
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise NoCell(
            f"the query gives {', '.join(map(shown, twice[:5]))} twice; name them apart (AS)"
        )
    tables = [
        columns_of(dict(zip(names, cells, strict=True))) for cells in _cells(found, len(names))
    ]
    return joined(tables)


def _cells(found: Any, width: int) -> Iterator[list[list[Any]]]:
    """Yield columns of at most ROWS cells; once without any where there are no rows."""
    none = True
    for rows in found.partitions(ROWS):
        none = False
        yield [list(column) for column in zip(*rows, strict=True)]
    if none:
        yield [[] for _ in range(width)]


def _refused(address: Address, error: Exception) -> Exception:
    if isinstance(error, NoCell):
        return refuse("source.cells", f"{address.shown}: {error}", "change data.query")
    cause = getattr(error, "orig", None) or error
    said = address.safe(f"{type(cause).__name__}: {cause}")
    message = f"{address.shown}: the database refuses: {shown(said, 300)}"
    final = any(words in said for words in FINAL) or address.url.startswith("sqlite")
    if is_transient(error) and not final:
        return away(message)
    return refuse("source.sql", message, "correct data.query, or the address in the environment")
