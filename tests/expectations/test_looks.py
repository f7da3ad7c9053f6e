"""What looks at the same rows cost: together never more than was allowed."""

from __future__ import annotations

import pytest

from expectations.looks import spent, tail_at


def test_all_looks_together_never_take_more_than_alpha() -> None:
    assert spent(30, 0.05) < 0.05
    assert spent(100_000, 0.05) == pytest.approx(0.05, rel=1e-4)
    assert spent(100_000, 0.05) < 0.05


def test_the_first_look_gets_most_and_each_later_one_less() -> None:
    assert tail_at(1, 0.05) == pytest.approx(0.0304, abs=1e-4)
    assert tail_at(30, 0.05) == pytest.approx(3.4e-5, rel=0.01)
    found = [tail_at(look, 0.05) for look in range(1, 40)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(("look", "alpha"), [(0, 0.05), (-1, 0.05), (1, 0.0), (1, 0.6)])
def test_what_is_no_look_or_no_alpha_is_refused(look: int, alpha: float) -> None:
    with pytest.raises(ValueError, match="however"):
        tail_at(look, alpha)
