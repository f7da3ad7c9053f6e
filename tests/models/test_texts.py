"""Texts as codes: the same texts again, whichever rows are asked for, and blocks in any order."""

import numpy as np

from models.texts import Gathering, Texts


def cells(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    return rng.choice(np.array(["a", "b", "서울", ""], object), (rows, 3))


def test_as_an_array_they_are_the_texts_that_were_given():
    given = cells()
    texts = Texts.of(given)
    np.testing.assert_array_equal(np.asarray(texts), given)
    assert texts.shape == given.shape
    assert texts.column(2).tolist() == given[:, 2].tolist()
    assert Texts.of(texts) is texts


def test_rows_are_cut_by_slices_masks_and_positions():
    given = cells()
    texts = Texts.of(given)
    for rows in (slice(5, 40), given[:, 0] == "a", np.array([7, 7, 0])):
        np.testing.assert_array_equal(np.asarray(texts[rows]), given[rows])


def test_blocks_in_any_order_come_to_the_same():
    given = cells()
    order = np.random.default_rng(1).permutation(len(given))
    gathering = Gathering(*given.shape)
    for part in np.array_split(order, 7):
        gathering.put(part, given[part])
    np.testing.assert_array_equal(np.asarray(gathering.texts()), given)


def test_counts_and_meanings_are_by_word():
    given = cells()
    texts = Texts.of(given)
    counts = dict(zip(texts.words[1].tolist(), texts.counts(1).tolist(), strict=True))
    assert counts == {word: int((given[:, 1] == word).sum()) for word in counts}
    length = [len(word) for word in texts.words[0]]
    assert texts.told(0, length).tolist() == [len(cell) for cell in given[:, 0]]


def test_no_rows_and_no_columns_are_texts_too():
    assert Texts.of(np.empty((0, 2), object)).shape == (0, 2)
    assert np.asarray(Texts.of(np.empty((4, 0), object))).shape == (4, 0)


def test_a_cell_without_a_text_is_the_empty_one():
    gathering = Gathering(3, 1)
    gathering.put(np.arange(3), np.array([["a"], [None], [np.nan]], dtype=object))
    assert np.asarray(gathering.texts())[:, 0].tolist() == ["a", "", ""]
