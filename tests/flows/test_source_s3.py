"""S3 against a real S3-speaking server on loopback."""

from __future__ import annotations

import boto3
import pytest
from moto.server import ThreadedMotoServer

from flows.data_spec import DataSpec
from flows.errors import DataRefused
from flows.fetch import forget
from flows.transient import is_transient
from flows.union import read_source

pytestmark = pytest.mark.slow
CSV = "age,risk\n1,good\n2,bad\n"


@pytest.fixture
def store(monkeypatch):
    """A bucket `shop` behind the addresses and keys that every S3 tool reads from the environment."""
    forget()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret-key")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = boto3.client("s3")
    client.create_bucket(Bucket="shop")
    yield client
    server.stop()


def read(folder, source):
    forget()
    return read_source(source, DataSpec(source=source, target="risk"), folder)


def test_objects_are_fetched_by_pattern_and_again_only_when_changed(store, tmp_path):
    for name in ("a-1.csv", "a-2.csv", "b.csv"):
        store.put_object(Bucket="shop", Key=f"in/{name}", Body=CSV.encode())
    found = read(tmp_path, "s3://shop/in/a-*.csv")
    assert found.frame["__source__"].unique().tolist() == ["a-1.csv", "a-2.csv"]
    kept = sorted((tmp_path / ".penstock" / "sources").glob("*/*a-?.csv"))
    before = [path.stat().st_mtime_ns for path in kept]
    store.put_object(Bucket="shop", Key="in/a-2.csv", Body=(CSV + "3,good\n").encode())
    assert len(read(tmp_path, "s3://shop/in/a-*.csv").frame) == 5
    after = [path.stat().st_mtime_ns for path in kept]
    assert (after[0] == before[0], after[1] == before[1]) == (True, False)
    assert len(read(tmp_path, "s3://shop/in/b.csv").frame) == 2


def test_what_is_not_there_and_a_store_that_is_away_are_told_apart(store, tmp_path, monkeypatch):
    for source in ("s3://shop/none.csv", "s3://nobody/a.csv", "s3://shop/x-*.csv"):
        with pytest.raises(DataRefused, match="there is no object") as caught:
            read(tmp_path, source)
        assert not is_transient(caught.value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(DataRefused, match="could not be fetched") as caught:
        read(tmp_path, "s3://shop/a.csv")
    assert is_transient(caught.value)
    assert "s3cret-key" not in str(caught.value)
