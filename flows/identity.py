"""Who a row is: a number that depends on its cells alone, not on its place, run or machine.

The algorithm is named, because a champion's rows are found again under the algorithm recorded with
it. `penstock-identity-1`, for each row a whole number of 64 bits:

- a number or boolean is a double, with one zero and one NaN; its bits are mixed;
- a date is a count of microseconds, in UTC where it has a zone; the count is mixed;
- a text is NFC without blanks around it; the first 8 bytes of BLAKE2b of its UTF-8, little-endian;
- a missing cell is a constant of its own;
- declared ids are texts: the whole number 7 and the text "7" are one id, "007" is another;
- cells are combined in the recorded order of columns by the finaliser of SplitMix64 (Steele,
  Lea, Flood 2014), so neither Python's hash seed nor the version of a library matters.
"""

from __future__ import annotations

import hashlib
import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

ALGORITHM = "penstock-identity-1"
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MISSING = np.uint64(0x6D697373696E6721)
START = np.uint64(0x70656E73746F636B)
AT_ONCE = 16_384  # numbers that are mixed while they are near


def identities(frame: pd.DataFrame, columns: Sequence[str], *, as_text: bool) -> NDArray[np.uint64]:
    """Return one number per row (shape (N,)) from the cells of `columns`, in their order.

    `as_text` is for declared ids; else numbers and dates count by value.
    """
    cells: Any = (frame[name] for name in columns)
    return combined(cells, len(frame), as_text=as_text)


def combined(
    columns: Iterable[pd.Series], rows: int, *, as_text: bool = False
) -> NDArray[np.uint64]:
    """Return one number per row from columns that come one after the other."""
    total = np.full(rows, START, np.uint64)
    for place, values in enumerate(columns, start=1):
        cells = text_hashes(values) if as_text else cell_hashes(values)
        with np.errstate(over="ignore"):
            total = mix(total ^ (cells + GOLDEN * np.uint64(place)))
    return total


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the SplitMix64 finaliser of each value: a bijection that scatters nearby numbers."""
    found = np.empty(values.shape, np.uint64)
    for start in range(0, len(values), AT_ONCE):
        z = found[start : start + AT_ONCE]
        with np.errstate(over="ignore"):
            np.add(values[start : start + AT_ONCE], GOLDEN, out=z)
            z ^= z >> np.uint64(30)
            z *= np.uint64(0xBF58476D1CE4E5B9)
            z ^= z >> np.uint64(27)
            z *= np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
    return found


def salted(hashes: NDArray[np.uint64], salt: str) -> NDArray[np.float64]:
    """Return numbers in [0, 1), one per hash, that another salt scatters anew."""
    mixed = mix(hashes ^ _text_hash(salt))
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def hexadecimal(hashes: NDArray[np.uint64]) -> NDArray[np.str_]:
    """Return each hash as 16 hexadecimal digits."""
    digits = hashes.astype(">u8").tobytes().hex().encode()
    return np.frombuffer(digits, dtype="S16").astype("U16")


def from_hexadecimal(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Return what `hexadecimal` wrote as hashes again; ValueError where it is something else."""
    packed = bytes.fromhex("".join(texts))
    if len(packed) != 8 * len(texts):
        raise ValueError(
            f"{len(texts):,} identities need 16 digits each, found {len(packed):,} bytes"
        )
    return np.frombuffer(packed, dtype=">u8").astype(np.uint64)


def cell_hashes(values: pd.Series) -> NDArray[np.uint64]:
    """Return a hash per cell by its value: numbers and booleans, dates, texts."""
    import pandas as pd

    kind = values.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return cell_hashes(
            pd.Series(np.asarray(values.astype(object)), dtype=object).infer_objects()
        )
    if pd.api.types.is_datetime64_any_dtype(kind):
        return _dates(values)
    if pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind):
        return _numbers(values)
    return text_hashes(values)


def _numbers(values: pd.Series) -> NDArray[np.uint64]:
    doubles = values.to_numpy(dtype=np.float64, na_value=np.nan)
    doubles = np.where(doubles == 0, 0.0, doubles)  # one zero
    missing = np.isnan(doubles)
    return np.where(missing, MISSING, mix(np.ascontiguousarray(doubles).view(np.uint64)))


def _dates(values: pd.Series) -> NDArray[np.uint64]:
    if values.dt.tz is not None:
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    missing = values.isna().to_numpy()
    ticks = values.to_numpy().astype("datetime64[us]").view(np.int64).view(np.uint64)
    return np.where(missing, MISSING, mix(ticks))


def text_hashes(values: pd.Series) -> NDArray[np.uint64]:
    """Return a hash per cell by its text; whole numbers are written without a point."""
    import pandas as pd

    if pd.api.types.is_float_dtype(values.dtype):
        values = pd.Series(_written(values.to_numpy(np.float64, na_value=np.nan)), dtype=object)
    codes, uniques = pd.factorize(values)
    table = np.array([_text_hash(_canonical(value)) for value in uniques], np.uint64)
    table = np.append(table, MISSING)  # code -1
    return table[codes]


def _written(doubles: NDArray[np.float64]) -> list[str | None]:
    """Write numbers as an id would be: 7, not 7.0."""
    return [
        None if x != x else str(int(x)) if x == int(x) else repr(float(x))  # noqa: PLR0124 - NaN
        for x in np.where(np.isinf(doubles), np.nan, doubles)
    ]


def _canonical(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    return text.strip() if text.isascii() else unicodedata.normalize("NFC", text).strip()


def _text_hash(text: str) -> np.uint64:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))
