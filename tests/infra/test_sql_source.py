"""A source in a real PostgreSQL."""

import datetime as dt
import os

import pytest

from flows.data_spec import DataSpec
from flows.errors import DataRefused
from flows.fetch import forget
from flows.transient import is_transient
from flows.union import read_source

TABLE = """
CREATE TABLE orders (id bigint, price numeric(10, 2), paid boolean, at timestamptz, day date, note text);
INSERT INTO orders SELECT n, n / 4.0, n % 2 = 0, '2024-01-01 00:00+09'::timestamptz + n * interval '1h',
  '2024-01-01'::date + n, CASE WHEN n % 5 = 0 THEN NULL ELSE 'n' || n END FROM generate_series(1, 50000) n;
"""


def read(folder, query):
    forget()
    data = DataSpec(source="sql:${SHOP}", target="id", query=query)
    return read_source("sql:${SHOP}", data, folder)


def test_rows_come_in_pieces_typed_as_the_database_types_them(cluster, tmp_path, monkeypatch):
    cluster.ask(TABLE)
    monkeypatch.setenv("SHOP", f"postgresql://owner:word@127.0.0.1:{cluster.port}/postgres")
    frame = read(tmp_path, "SELECT * FROM orders ORDER BY id").frame
    assert len(frame) == 50_000
    assert frame["price"].iloc[:2].tolist() == [0.25, 0.5]
    assert frame["paid"].dtype == "bool"
    assert frame["at"].iloc[0] == dt.datetime(2023, 12, 31, 16, tzinfo=dt.UTC)
    assert frame["day"].iloc[0] == dt.datetime(2024, 1, 2)  # noqa: DTZ001 - a day has no zone
    assert frame["note"].isna().sum() == 10_000
    with pytest.raises(DataRefused, match='relation "nothing" does not exist'):
        read(tmp_path, "SELECT * FROM nothing")


def test_a_wrong_password_is_final_and_a_server_that_is_away_is_not(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP", f"postgresql://owner:wr0ng-one@127.0.0.1:{cluster.port}/postgres")
    with pytest.raises(DataRefused, match="password authentication failed") as caught:
        read(tmp_path, "SELECT 1 AS a")
    assert "wr0ng-one" not in str(caught.value)
    assert not is_transient(caught.value)
    monkeypatch.setenv("SHOP", "postgresql://owner:word@127.0.0.1:1/postgres")
    with pytest.raises(DataRefused) as caught:
        read(tmp_path, "SELECT 1 AS a")
    assert is_transient(caught.value)
    assert os.environ["SHOP"] not in str(caught.value)
