"""How much a decoded text looks like written words, which tells a right encoding from a wrong one.

- A word has letters of one script, in lower case, in capitals or with one capital in front; signs
  stand alone or at its edges.
- Characters of Asian scripts count by how common they are where the encoding was made: wrongly
  decoded bytes give rare ones.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

WORDS = 3_000  # that are weighed
RUN = re.compile(r"(?:[^\W\d_]|[^\x00-\x7f])+")
POINTS = "–—‘’“”„…•«»·、。「」『』（）：，・〜"  # noqa: RUF001 - as texts have them
SIGNS = "°§€£¥©®±×÷µ²³½¼¾¿¡№™‰"  # noqa: RUF001 - the same
FREQUENT = {
    "cp949": "이다의가는에을한고로하사지기인시서자대리도정아일구동산부수전장주공원신안소상명강남북광천경중월",
    "cp932": "のにはをたがでてとしれさる日一国会人年大本中長出三同時東京都府県市区町村山川田",
    "euc_jp": "のにはをたがでてとしれさる日一国会人年大本中長出三同時東京都府県市区町村山川田",
    "gb18030": "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工北京海南广东山",
    "big5": "的一是在不了有和人這中大為上個國我以要他時來用們生到作地於出就分對成會可主發年動同工北京臺灣高雄",
}
COMMON_LEAD = {
    "cp949": (0xB0, 0xC8),
    "gb18030": (0xB0, 0xD7),
    "big5": (0xA4, 0xC6),
    "euc_jp": (0xB0, 0xCF),
}
"""First bytes of the characters in common use."""


def plausible(text: str, encoding: str) -> float:
    """Return which share of the characters beyond ASCII stands as in written words, 0 to 1."""
    runs = [run for run in dict.fromkeys(RUN.findall(text)) if not run.isascii()][:WORDS]
    sizes = [sum(not char.isascii() for char in run) for run in runs]
    score = sum(size * _word(run, encoding) for run, size in zip(runs, sizes, strict=True))
    return score / max(sum(sizes), 1)


def _word(run: str, encoding: str) -> float:
    """Return how much a run of letters and signs looks like words, 0 to 1."""
    words = [word for word in re.split(f"[{POINTS}{SIGNS}]+", run) if word]
    if not words:
        return 1.0 if len(run) == 1 else 0.0
    values = [_letters(word, encoding) for word in words]
    if re.search(rf"[{SIGNS}][^\x00-\x7f]|[^\x00-\x7f][{SIGNS}]", run):
        return 0.3 * min(
            values
        )  # a sign beside a letter beyond ASCII is rare: it is another's half
    return sum(values) / len(values)


def _letters(word: str, encoding: str) -> float:
    if any(not (char.isalpha() or unicodedata.category(char)[0] == "M") for char in word):
        return 0.0
    scripts = {_script(char) for char in word}
    asian = scripts - {"LATIN"}
    if asian and asian <= {"HANGUL", "CJK", "KANA"}:
        if "HANGUL" in asian and len(asian) > 1:
            return 0.2
        half = 0.5 if "LATIN" in scripts and asian != {"HANGUL"} else 1.0
        beyond = [char for char in word if not char.isascii()]
        return half * sum(_usual(char, encoding) for char in beyond) / len(beyond)
    if len(scripts) > 1 or not scripts <= {"LATIN", "CYRILLIC", "GREEK"}:
        return 0.0
    return 1.0 if word.isascii() else _alphabetic(word, latin=scripts == {"LATIN"})


def _alphabetic(word: str, *, latin: bool) -> float:
    if not (word.islower() or word.isupper() or word[1:].islower()):
        return 0.0
    value = 1.0 if word[1:].islower() else 0.95  # words in capitals alone are rarer
    if len(word) == 1:
        return 0.7 * value
    if latin and re.search(r"[^\x00-\x7f]{3}", word):
        return 0.0
    return 0.2 if latin and not re.search("[A-Za-z]", word) else value


@cache
def _script(char: str) -> str:
    first = unicodedata.name(char, "UNNAMED").replace("-", " ").split()[0]
    alike = {"HIRAGANA": "KANA", "KATAKANA": "KANA", "IDEOGRAPHIC": "CJK", "FULLWIDTH": "CJK"}
    alike |= {"MICRO": "LATIN", "FEMININE": "LATIN", "MASCULINE": "LATIN"}
    return alike.get(first, first)


@cache
def _usual(char: str, encoding: str) -> float:
    """Return how common a character of an Asian script is in what the encoding was made for."""
    if char in FREQUENT.get(encoding, ""):
        return 1.0
    if _script(char) == "KANA":
        return 0.9 if encoding in {"cp932", "euc_jp"} else 0.5
    table = "euc_jp" if encoding == "cp932" else encoding
    try:
        code = char.encode(table)
    except UnicodeError:
        return 0.2
    low, high = COMMON_LEAD.get(table, (0, 0))
    plain = len(code) == 2 and low <= code[0] <= high and (code[1] >= 0xA1 or table == "big5")
    return 0.8 if plain else 0.3
