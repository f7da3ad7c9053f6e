"""A small good table for the tests of bad ones."""

import numpy as np

ROWS = 80


def good(rows=ROWS):
    """Return the header and records of a table that passes: a number, a category, a date, a flag."""
    random = np.random.default_rng(0)
    records = [
        [
            f"{random.normal(50, 10):.2f}",
            ("red", "green", "blue")[i % 3],
            f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}",
            "yes" if i % 4 else "no",
            "good" if random.random() < 0.5 else "bad",
        ]
        for i in range(rows)
    ]
    return ["size", "colour", "day", "flag", "grade"], records


def as_csv(header, records, separator=","):
    return "\n".join(separator.join(line) for line in [header, *records]) + "\n"


def cells(column, *values, every=False):
    """Return a change that puts values into a column: into the first rows, or in turn into all."""

    def change(header, records):
        place = header.index(column)
        for i in range(len(records) if every else len(values)):
            records[i][place] = values[i % len(values)]

    return change
