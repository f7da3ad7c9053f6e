"""Keys change, everything else of a person's file stays."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.contract_text import dumps, toml
from expectations.toml_lines import DROP, Edit, edited

TEXT = """\
# head
version = 1
accepted = true  # by me

[columns."a b"] # first
kind = "number"
# why 3
min = 3
max = 5 # five = "5"

# about c
[columns.c]
kind = "category"
levels = [
  "x=1", # ex # yes
  "#y"   # no comma
]
text = '''
[columns.c]
kind = 3
'''

[[expectations]]
type = "e"
# the last
[columns.late]
kind = "number"
"""


def edit(*path, value, comment=""):
    return Edit(path=path, value=value, comment=comment)


def changed(made, text=TEXT):
    """Return the lines that came and those that went."""
    before, after = text.splitlines(), made.splitlines()
    return [x for x in after if x not in before], [x for x in before if x not in after]


def test_a_value_changes_and_its_comment_stays():
    made = edited(TEXT, [edit("columns", "a b", "max", value=7)])
    assert changed(made) == (['max = 7 # five = "5"'], ['max = 5 # five = "5"'])


def test_a_new_key_goes_behind_the_last_of_its_table_and_not_behind_comments():
    made = edited(TEXT, [edit("columns", "a b", "proposed", value={"max": 9}, comment="seen 6")])
    lines = made.splitlines()
    assert lines[lines.index('max = 5 # five = "5"') + 1] == "proposed = { max = 9 }  # seen 6"


def test_a_longer_list_keeps_the_comments_of_its_items():
    whole = ["x=1", "#y", "z"]
    made = edited(TEXT, [edit("columns", "c", "levels", value=whole)])
    assert '  "x=1", # ex # yes\n  "#y", # no comma\n    "z",\n]' in made
    assert tomllib.loads(made)["columns"]["c"]["levels"] == whole


def test_a_shorter_list_keeps_its_comments_above():
    made = edited(TEXT, [edit("columns", "c", "levels", value=["q"])])
    assert '# ex # yes\n# no comma\nlevels = ["q"]' in made


def test_tables_that_stand_apart_stay_where_they_are():
    made = edited(TEXT, [edit("columns", "late", "min", value=1), edit("accepted", value=False)])
    assert changed(made) == (["accepted = false  # by me", "min = 1"], ["accepted = true  # by me"])
    assert made.endswith('[columns.late]\nkind = "number"\nmin = 1\n')


def test_a_key_goes_and_blocks_come_at_the_end():
    made = edited(TEXT, [edit("columns", "a b", "min", value=DROP)], ["[columns.n]\nkind = 'date'"])
    assert changed(made) == (["[columns.n]", "kind = 'date'"], ["min = 3"])


def test_entries_of_lists_are_counted():
    text = "[[rules]]\ncheck = 'a'\n[[rules]]\ncheck = 'b' # second\n"
    made = edited(text, [edit("rules", "1", "check", value="c")])
    assert made == "[[rules]]\ncheck = 'a'\n[[rules]]\ncheck = \"c\" # second\n"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_stay(end):
    made = edited(TEXT.replace("\n", end), [edit("accepted", value=False)], ["[x]\ny = 1"])
    assert made.count(end) == made.count("\n") == TEXT.count("\n") + 3


def test_a_form_that_has_no_lines_of_its_own_is_refused():
    with pytest.raises(
        ValueError,
        match=r"must have a table of its own for each part to be changed: columns\.a\.min",
    ):
        edited("columns = { a = { kind = 'number' } }\n", [edit("columns", "a", "min", value=1)])


VALUES = st.one_of(st.integers(), st.booleans(), st.text(max_size=8), st.lists(st.text(max_size=5)))
KEYS = st.sampled_from(["kind", "min", "max", "levels", "new", "proposed"])


@given(st.lists(st.tuples(st.sampled_from(["a b", "c", "late"]), KEYS, VALUES), max_size=5))
def test_whatever_is_set_is_what_is_read_and_no_comment_is_lost(wishes):
    made = edited(TEXT, [edit("columns", name, key, value=value) for name, key, value in wishes])
    found = tomllib.loads(made)["columns"]
    for (name, key), value in {(n, k): v for n, k, v in wishes}.items():
        assert found[name][key] == tomllib.loads(f"x = {toml(value)}")["x"]
    for comment in (
        "# head",
        "# by me",
        "# first",
        "# why 3",
        "# five",
        "# about c",
        "# the last",
        "# no comma",
    ):
        assert comment in made


def test_a_written_contract_is_text_that_can_be_edited():
    from expectations.column import Column
    from expectations.contract import Contract

    columns = {'q"\n': Column(role="target", kind="category", levels=tuple("abcdefgh" * 1))}
    text = dumps(Contract(columns=columns))
    made = edited(text, [edit("columns", 'q"\n', "levels", value=["a", "b"])])
    assert tomllib.loads(made)["columns"]['q"\n']["levels"] == ["a", "b"]
