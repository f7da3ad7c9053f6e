"""HTTP against a real loopback server: retries, unchanged files, pages, and no secret anywhere."""

from __future__ import annotations

import gzip
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from flows import source_http
from flows.chunks import open_source
from flows.data_spec import DataSpec
from flows.errors import DataRefused
from flows.fetch import forget
from flows.transient import is_transient
from flows.union import read_source

CSV = "age,risk\n1,good\n2,bad\n"


class Answers(BaseHTTPRequestHandler):
    """Answers each path with what the test put there, and keeps what it was asked."""

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        status, headers, body = self.server.site[path](self, query)
        self.send_response(status)
        headers = {"Content-Length": str(len(body)), **headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(source_http, "FIRST_WAIT", 0.01)
    forget()
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as found:
        found.site, found.asked = {}, []
        found.url = f"http://127.0.0.1:{found.server_address[1]}"
        threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
        yield found
        found.shutdown()


def always(body, status=200, **headers):
    body = body if isinstance(body, bytes) else body.encode()
    return lambda *_: (status, {k.replace("_", "-"): v for k, v in headers.items()}, body)


def in_turn(*answers):
    left = list(answers)

    def answer(*asked):
        return (left.pop(0) if len(left) > 1 else left[0])(*asked)

    return answer


def read(folder, source, **options):
    return read_source(source, DataSpec(source=source, target="risk", **options), folder)


def refused(folder, source, **options):
    with pytest.raises(DataRefused) as caught:
        read(folder, source, **options)
    return caught.value


def test_a_file_is_fetched_to_the_home_and_read_by_what_it_is(server, tmp_path):
    server.site["/a.csv"] = always(CSV)
    server.site["/b.csv.gz"] = always(gzip.compress(CSV.encode()))
    server.site["/rows"] = always(CSV, Content_Type="text/csv; charset=utf-8")
    server.site["/api"] = always(
        json.dumps([{"age": 1, "risk": "good"}, {"age": 2, "risk": "bad"}]),
        Content_Type="application/json",
    )
    for path in ("a.csv", "b.csv.gz", "rows", "api"):
        found = read(tmp_path, f"{server.url}/{path}")
        assert found.frame[["age", "risk"]].values.tolist() == [["1", "good"], ["2", "bad"]], path
    assert found.frame["__source__"].iloc[0] == f"{server.url}/api"
    assert len(list((tmp_path / ".penstock" / "sources").glob("*/*.csv*"))) >= 2


def test_a_server_that_is_busy_is_asked_again(server, tmp_path):
    busy = always("", status=503, Retry_After="0")
    server.site["/a.csv"] = in_turn(busy, always("", status=429), always(CSV))
    assert len(read(tmp_path, f"{server.url}/a.csv").frame) == 2
    assert len(server.asked) == 3


def test_an_answer_that_is_cut_off_is_asked_for_again_and_never_half_used(server, tmp_path):
    short = always(CSV[:-5], Content_Length=str(len(CSV)))
    server.site["/a.csv"] = in_turn(short, always(CSV))
    assert len(read(tmp_path, f"{server.url}/a.csv").frame) == 2


def test_a_server_that_stays_away_is_a_refusal_that_may_pass(server, tmp_path):
    server.site["/a.csv"] = always("", status=503)
    refusal = refused(tmp_path, f"{server.url}/a.csv", http={"retries": 2})
    assert "could not be fetched in 3 tries: it answered 503" in str(refusal)
    assert is_transient(refusal)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("status", "said"), [(401, "give it a login"), (404, "correct the address"), (410, "410 Gone")]
)
def test_a_refusal_by_the_server_is_said_at_once(server, tmp_path, status, said):
    server.site["/a.csv"] = always("", status=status)
    refusal = refused(tmp_path, f"{server.url}/a.csv")
    assert said in str(refusal)
    assert len(server.asked) == 1
    assert not is_transient(refusal)


def test_an_unchanged_file_is_not_sent_again(server, tmp_path):
    def answer(request, _):
        if request.headers.get("If-None-Match") == '"v1"':
            return 304, {}, b""
        return 200, {"ETag": '"v1"'}, CSV.encode()

    server.site["/a.csv"] = answer
    for _ in range(2):
        forget()
        assert len(read(tmp_path, f"{server.url}/a.csv").frame) == 2
    assert "If-None-Match" in server.asked[1][1]
    (kept,) = (tmp_path / ".penstock" / "sources").glob("*/a.csv")
    kept.write_text("age,risk\n9,spoilt\n")
    forget()
    assert read(tmp_path, f"{server.url}/a.csv").frame["age"].tolist() == ["1", "2"]
    assert "If-None-Match" not in server.asked[2][1]


def test_one_look_fetches_once(server, tmp_path):
    server.site["/a.csv"] = always(CSV)
    for _ in range(3):
        read(tmp_path, f"{server.url}/a.csv")
    assert len(server.asked) == 1


def pages(request, query):
    number = int(query.get("page", ["1"])[0])
    rows = [{"age": number, "risk": "good"}] if number <= 3 else []
    onward = f"{request.path.split('?')[0]}?page={number + 1}" if number < 3 else None
    link = {"Link": f'<{onward}>; rel="next"'} if onward else {}
    body = json.dumps({"data": {"items": rows}, "paging": {"next": onward}})
    return 200, {"Content-Type": "application/json", **link}, body.encode()


@pytest.mark.parametrize("http", [{"next": "link"}, {"next": "paging.next"}, {"page": "page"}])
def test_all_pages_are_one_table(server, tmp_path, http):
    server.site["/api"] = pages
    found = read(tmp_path, f"{server.url}/api", http={**http, "records": "data.items"})
    assert found.frame["age"].tolist() == ["1", "2", "3"]


def test_pages_of_text_lose_the_header_that_they_repeat(server, tmp_path):
    def answer(_, query):
        number = int(query["p"][0])
        return 200, {}, (f"age,risk\n{number},good" if number < 3 else "age,risk\n").encode()

    server.site["/a.csv"] = answer
    found = read(tmp_path, f"{server.url}/a.csv", http={"page": "p", "first": 0})
    assert found.frame["age"].tolist() == ["0", "1", "2"]


def test_pages_are_never_cut_off_in_silence(server, tmp_path):
    server.site["/api"] = pages
    http = {"page": "page", "records": "data.items"}
    assert "has more than 2 pages" in str(
        refused(tmp_path, f"{server.url}/api", http={**http, "pages": 2})
    )
    circle = json.dumps({"rows": [{"risk": 1}], "next": "/round"})
    server.site["/round"] = always(circle, Content_Type="application/json")
    refusal = refused(tmp_path, f"{server.url}/round", http={"next": "next", "records": "rows"})
    assert "was read before" in str(refusal)


def test_a_login_is_not_taken_to_another_server(server, tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN", "s3cret-token")
    elsewhere = json.dumps({"rows": [{"risk": 1}], "next": "http://127.0.0.2:9/x"})
    server.site["/a"] = always(elsewhere, Content_Type="application/json")
    http = {"next": "next", "records": "rows", "headers": {"Authorization": "Bearer ${TOKEN}"}}
    assert "names a next page on 127.0.0.2" in str(refused(tmp_path, f"{server.url}/a", http=http))


def test_where_the_rows_are_in_a_page_is_asked_for(server, tmp_path):
    server.site["/api"] = always('{"data": [], "meta": 1}', Content_Type="application/json")
    said = str(refused(tmp_path, f"{server.url}/api"))
    assert "must be a list of rows, the page holds data, meta" in said


def test_secrets_come_from_the_environment_and_are_said_nowhere(
    server, tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(
        "FEED_URL", f"{server.url}/a.csv?token=hunter2".replace("//", "//me:pa55word@")
    )
    monkeypatch.setenv("TOKEN", "s3cret-token")
    server.site["/a.csv"] = in_turn(always(CSV), always("", status=500))
    http = {"retries": 0, "headers": {"X-Api-Key": "${TOKEN}"}}
    found = read(tmp_path, "${FEED_URL}", http=http)
    assert server.asked[0][1]["X-Api-Key"] == "s3cret-token"
    assert server.asked[0][1]["Authorization"].startswith("Basic ")
    assert found.parts[0]["name"] == "${FEED_URL}"
    forget()
    refusal = refused(tmp_path, "${FEED_URL}", http=http)
    kept = b"".join(p.read_bytes() for p in (tmp_path / ".penstock").rglob("*") if p.is_file())
    everything = f"{refusal} {refusal.__cause__} {caplog.text} {found.parts} {kept!r}"
    for secret in ("hunter2", "pa55word", "s3cret-token"):
        assert secret not in everything


def test_a_secret_written_out_in_the_settings_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must take its secret from the environment"):
        DataSpec(source="x", target="y", http={"headers": {"Authorization": "Bearer abc"}})
    said = str(refused(tmp_path, "https://me:hunter2@example.org/a.csv"))
    assert "must not hold a password" in said
    assert "hunter2" not in said


def test_a_feed_and_rows_to_be_scored_come_from_addresses_too(server, tmp_path):
    rss = '<rss version="2.0"><channel><item><guid>1</guid><title>A</title></item></channel></rss>'
    server.site["/feed"] = always(rss, Content_Type="application/rss+xml")
    assert read(tmp_path, f"feed:{server.url}/feed").frame["title"].tolist() == ["A"]
    server.site["/a.csv"] = always(CSV)
    source = open_source(f"{server.url}/a.csv", DataSpec(source="-", target="risk"), tmp_path)
    assert sum(table.num_rows for table in source.tables()) == 2
