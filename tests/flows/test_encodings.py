from __future__ import annotations

import pytest

from flows.encodings import proposal, readings, wide

KOREAN = "구,이름,인원\n1,강남구,1200\n2,종로구,800\n3,서초 경찰서,37\n"
TEXTS = {
    "cp949": KOREAN,
    "cp932": "番号,都市,人口\n1,東京都,13960\n2,さいたま市,1324\n3,大阪府,8809\n",
    "euc_jp": "番号,都市,人口\n1,とうきょう,13960\n2,さいたま市,1324\n3,カタカナ,8809\n",
    "gb18030": "编号,城市,人口\n1,北京,2154\n2,上海,2424\n3,中国广东省,11521\n",
    "big5": "編號,城市,人口\n1,臺北,2646\n2,高雄,2773\n3,中國大陸,11521\n",
    "cp1252": "Nr,Stadt,Größe\n1,Zürich,402\n2,Genève,198\n3,São Paulo,12\n4,“Köln”,1000\n5,25°C,3 €\n",
    "cp1250": "nr,miasto\n1,Łódź\n2,Kraków\n3,Częstochowa\n4,Gdańsk\n",
    "cp1251": "номер,город\n1,Москва\n2,Санкт-Петербург\n3,Нижний Новгород\n",
    "koi8-r": "номер,город\n1,Москва\n2,Санкт-Петербург\n3,Нижний Новгород\n",
    "cp1253": "αριθμός,πόλη\n1,Αθήνα\n2,Θεσσαλονίκη\n",
    "cp850": "Nr,Stadt\n1,Zürich\n2,Köln\n3,Málaga\n",
}


@pytest.mark.parametrize("encoding", TEXTS)
def test_the_encoding_that_made_the_bytes_is_proposed(encoding):
    found = proposal(TEXTS[encoding].encode(encoding))
    assert found is not None
    assert (found.encoding, found.believed) == (encoding, True)


@pytest.mark.parametrize(
    "cells", [["남", "여"], ["서울", "부산"], ["김", "이", "박", "최"], ["예", "아니오"]]
)
def test_few_and_short_korean_words_are_enough(cells):
    rows = "".join(f"{i},{cells[i % len(cells)]}\n" for i in range(20))
    found = proposal(f"n,sex\n{rows}".encode("cp949"))
    assert found is not None
    assert found.encoding == "cp949"


def test_the_evidence_names_bytes_line_and_how_they_read():
    found = proposal(KOREAN.encode("cp949"))
    assert found is not None
    assert "line 1 holds the bytes b1 b8 (offset 0), which are no UTF-8" in found.why
    assert "as cp949 the line reads 구,이름,인원" in found.why
    rows = "".join(f"{i},plain\n" for i in range(9)) + "9,caf\u00e9 au lait\n"
    found = proposal(("n,what\n" + rows).encode("latin-1"))
    assert found is not None
    assert "line 11 holds the bytes e9" in found.why
    assert "cafe" not in found.why


def test_what_fits_too_is_named_with_how_it_reads():
    found = proposal("nr,mesto\n1,Plzeň\n2,Dvořák\n".encode("cp1250"))
    assert found is not None
    assert "Plzeň" in found.why
    assert "cp1250" in found.why


@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", ["a,b\n1,x\n" * 50, KOREAN * 20])
def test_wide_text_without_a_mark_is_known_by_its_zero_bytes(name, text):
    assert wide(text.encode(name)) == name
    found = proposal(text.encode(name))
    assert found is not None
    assert found.encoding == name
    assert "without a byte-order mark" in found.why


@pytest.mark.parametrize("name", ["utf-16", "utf-32"])
def test_wide_text_with_a_mark_is_known_by_it(name):
    found = proposal(KOREAN.encode(name))
    assert found is not None
    assert found.encoding == name


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", KOREAN.encode(), KOREAN.encode("utf-8-sig")])
def test_utf_8_needs_no_proposal(content):
    assert proposal(content) is None


def test_bytes_that_are_no_words_are_not_believed():
    found = proposal(bytes(range(128, 256)) * 4)
    assert found is None or not found.believed


def test_every_reading_decodes_all_bytes():
    content = KOREAN.encode("cp949")
    for reading in readings(content):
        content.decode(reading.encoding)


def test_the_encoding_is_told_from_the_first_part_that_shows_one(tmp_path):
    from flows.parts import find_parts
    from flows.sniff import sniff

    (tmp_path / "a.csv").write_text("no,name\n1,plain\n2,ascii\n", "utf-8")
    (tmp_path / "b.csv").write_bytes("no,name\n3,강남구\n".encode("cp949"))
    parts = find_parts("*.csv", folder=tmp_path)
    writing = sniff(parts[0], others=parts[1:])
    assert writing.options["encoding"] == "cp949"
    assert "in b.csv, line 2 holds the bytes" in writing.why["encoding"]


def test_a_run_never_guesses_and_says_what_init_would_propose(tmp_path):
    from flows.data_spec import DataSpec
    from flows.delimited import read_text
    from flows.errors import DataRefused

    utf8 = KOREAN.encode()
    plain = DataSpec(source="-", target="-")
    with pytest.raises(DataRefused, match='encoding = "cp949"'):
        read_text(KOREAN.encode("cp949"), plain, "a.csv")
    with pytest.raises(DataRefused, match="UTF-8 by its byte-order mark"):
        read_text(b"\xef\xbb\xbf" + utf8, plain.model_copy(update={"encoding": "cp949"}), "a.csv")
    with pytest.raises(DataRefused, match="no zero byte and is UTF-8 text"):
        read_text(utf8, plain.model_copy(update={"encoding": "utf-16"}), "a.csv")
    umlauts = "nr,town\n1,Zürich\n".encode()
    notes = read_text(umlauts, plain.model_copy(update={"encoding": "latin-1"}), "a.csv").notes
    assert "all bytes are UTF-8, but the settings say latin-1" in notes[0]
