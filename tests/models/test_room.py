"""Large arrays: in memory up to a limit, beyond it in files that leave no trace."""

import resource

import numpy as np
import pytest

from models.room import LEAST, Room

BIG = (LEAST // 8 + 1,)


def test_arrays_are_in_memory_without_a_limit(tmp_path):
    assert not isinstance(Room(tmp_path).array(BIG, np.float64), np.memmap)
    assert not isinstance(Room(limit=0).array(BIG, np.float64), np.memmap)


def test_beyond_the_limit_they_are_mapped_from_files_without_a_name(tmp_path):
    room = Room(tmp_path / "later", limit=2 * LEAST)
    first, second = (room.array(BIG, np.float64) for _ in range(2))
    assert not isinstance(first, np.memmap)
    assert isinstance(second, np.memmap)
    assert room.mapped == second.nbytes
    second[:] = 3.0
    assert second.sum() == 3.0 * len(second)
    assert list((tmp_path / "later").iterdir()) == []


def test_small_ones_are_never_mapped(tmp_path):
    assert not isinstance(Room(tmp_path, limit=0).array((10, 2), np.float32), np.memmap)


def test_without_place_on_the_disk_it_says_how_much_is_needed(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LEAST, before[1]))
    try:
        with pytest.raises(OSError, match=r"must have place for 0\.0 GB of rows made ready"):
            Room(tmp_path, limit=0).array((2 * LEAST,), np.float64)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
