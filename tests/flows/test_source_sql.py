"""SQL on a real SQLite file; PostgreSQL: tests/infra/test_sql_source.py."""

from __future__ import annotations

import sqlite3

import pytest

from flows.data_spec import DataSpec
from flows.errors import DataRefused
from flows.fetch import forget
from flows.union import read_source

SOURCE = "sql:sqlite:///shop.db"


@pytest.fixture
def shop(tmp_path):
    forget()
    with sqlite3.connect(tmp_path / "shop.db") as line:
        line.execute("CREATE TABLE orders (id INTEGER, amount REAL, city TEXT, odd)")
        rows = [(1, 1.5, "서울", 1), (2, None, "부산", "n/a"), (3, 2.0, None, 2.5)]
        line.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
    return tmp_path


def read(folder, query, source=SOURCE):
    return read_source(source, DataSpec(source=source, target="id", query=query), folder)


def refused(folder, query, source=SOURCE):
    with pytest.raises(DataRefused) as caught:
        read(folder, query, source)
    return str(caught.value)


def test_the_rows_of_a_query_keep_their_types(shop):
    found = read(shop, "SELECT * FROM orders ORDER BY id")
    frame = found.frame
    assert frame["id"].tolist() == [1, 2, 3]
    assert frame["amount"].isna().tolist() == [False, True, False]
    assert frame["city"].tolist()[:2] == ["서울", "부산"]
    assert frame["odd"].tolist() == ["1", "n/a", "2.5"]
    assert found.parts[0]["name"] == SOURCE


def test_the_same_rows_have_the_same_digest_and_other_rows_another(shop):
    query = "SELECT * FROM orders ORDER BY id"
    first = read(shop, query).parts[0]["sha256"]
    forget()
    assert read(shop, query).parts[0]["sha256"] == first
    with sqlite3.connect(shop / "shop.db") as line:
        line.execute("UPDATE orders SET amount = 9 WHERE id = 1")
    forget()
    assert read(shop, query).parts[0]["sha256"] != first


def test_the_database_is_opened_to_read_only(shop):
    assert "readonly database" in refused(shop, "DELETE FROM orders")
    assert len(read(shop, "SELECT id FROM orders").frame) == 3


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (None, "data.query must say which rows"),
        ("SELECT * FROM nowhere", "no such table: nowhere"),
        ("SELEKT 1", "syntax error"),
        ("SELECT id, id FROM orders", "gives id twice; name them apart"),
        ("SELECT x'00ff' AS b", "'b' holds bytes"),
        ("SELECT * FROM orders WHERE id > 9", "found 0"),
    ],
)
def test_a_query_that_gives_no_table_is_refused(shop, query, said):
    assert said in refused(shop, query)


def test_a_database_that_is_not_there_is_not_made(tmp_path):
    assert "no file at" in refused(tmp_path, "SELECT 1 AS a", "sql:sqlite:///none.db")
    assert not (tmp_path / "none.db").exists()


def test_a_password_stands_in_the_environment_and_is_never_said(tmp_path, monkeypatch):
    address = "postgresql://kim:hunter2@127.0.0.1:1/shop"
    assert "must not hold a password" in refused(tmp_path, "SELECT 1", f"sql:{address}")
    assert 'write "sql:' in refused(tmp_path, None, address.replace("kim:hunter2@", ""))
    monkeypatch.setenv("SHOP", address)
    said = refused(tmp_path, "SELECT 1", "sql:${SHOP}")
    assert "sql:${SHOP}: the database refuses" in said
    assert "hunter2" not in said
