from __future__ import annotations

import pandas as pd
import pytest

from flows.sides import codes

WHOLE = {"classes": ["0", "1"], "class_kind": "integer"}
FLAGS = {"classes": ["False", "True"], "class_kind": "boolean"}
TEXTS = {"classes": ["no", "yes"], "class_kind": "text"}


@pytest.mark.parametrize(
    ("serving", "cells"),
    [
        (WHOLE, pd.Series(["0", "1", "1"])),
        (WHOLE, pd.Series([0, 1, 1])),
        (WHOLE, pd.Series([0.0, 1.0, 1.0])),
        (WHOLE, pd.Series([0, 1, 1], dtype="Int64")),
        (WHOLE, pd.Series([0, 1, 1], dtype=object)),
        (FLAGS, pd.Series([False, True, True])),
        (FLAGS, pd.Series([False, True, True], dtype=object)),
        (FLAGS, pd.Series(["false", "TRUE", "True"])),
        (TEXTS, pd.Series(["no", "yes", "yes"])),
    ],
)
def test_a_label_has_one_code_however_it_is_held(serving, cells):
    assert codes(cells, serving).tolist() == [0, 1, 1]


def test_a_label_that_the_model_does_not_know_has_no_code():
    assert codes(pd.Series([0, 7, None], dtype=object), WHOLE).tolist() == [0, -1, -1]
