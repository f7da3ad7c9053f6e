"""docs/inputs.md has every input, and no line that no test tells."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINE = re.compile(r"^\| (\d+) \| (.+?) \| (handled|refused|documented) \| ", re.MULTILINE)


def told_by_tests():
    text = "".join(p.read_text("utf-8") for p in sorted((ROOT / "tests/inputs").glob("test_*.py")))
    return {(int(n), words) for n, words in re.findall(r'"(\d{1,2}) ([^"\n]+)"', text)}


def on_the_page():
    page = (ROOT / "docs" / "inputs.md").read_text("utf-8")
    return {(int(n), words) for n, words, _ in LINE.findall(page)}


def test_the_page_has_all_88_inputs():
    assert {number for number, _ in on_the_page()} == set(range(1, 89))


def test_every_line_of_the_page_is_told_by_a_test():
    assert on_the_page() <= told_by_tests()
