"""`[features]`: what is refused at once, and what reaches the encoder."""

import pytest
from pydantic import ValidationError

from flows.features_spec import FeaturesSpec
from flows.features_words import lines


def test_what_cannot_be_served_is_refused_with_the_reason():
    with pytest.raises(ValidationError, match='no served graph can answer in time; choose "mice"'):
        FeaturesSpec(impute="forest")


@pytest.mark.parametrize(
    "given",
    [
        *({"clip": 0.5}, {"rare": 0}, {"drop_correlated": 1.5}, {"scale": "log"}, {"keep": 0}),
        *(
            {"drop_constant": 0.5},
            {"interactions": -1},
            {"dates": "sine"},
            {"keep_by": "importance"},
        ),
        *({"drop_outliers": value} for value in (0, -3.0, float("nan"), float("inf"))),
        *({"reduce": {"kind": "pca"}}, {"reduce": {"kind": "umap", "size": 2}}),
    ],
)
def test_impossible_values_are_refused(given):
    with pytest.raises(ValidationError):
        FeaturesSpec(**given)


def test_every_setting_is_one_of_the_encoder():
    from models.settings import ENCODED

    # What a date becomes is the reader's, and which rows are learned from the table's.
    others = {"dates", "drop_outliers"}
    assert set(FeaturesSpec.model_fields) - others == set(ENCODED) - {"seed"}


def test_outlier_rows_are_in_the_key_of_every_stage_that_learns():
    from flows.spec import Spec
    from flows.stages import STAGES

    plain, other = (
        Spec(name="t", data={"source": "a.csv", "target": "y"}, features=features)
        for features in ({}, {"drop_outliers": 6.0})
    )
    moved = {stage.name for stage in STAGES if stage.part(plain) != stage.part(other)}
    assert moved == {"canary", "sweep", "train", "assess"}


def test_the_report_says_what_was_filled_dropped_and_merged():
    tried = [
        {"imputer": "median", "error": 1.0, "loss": 0.5, "worse": 0.1, "standard_error": 0.01},
        {"imputer": "mice", "error": None, "loss": 0.4, "worse": 0.0, "standard_error": 0.0},
    ]
    found = {
        "imputation": {
            "asked": "auto",
            "kind": "mice",
            "cells": [3, 1200],
            "auto": {"tried": tried},
        },
        "folds": 5,
        "dropped": {"twin": {"folds": 2, "why": "moves with column 0"}},
        "rare": {"city": 12},
        "shared": {},
    }
    told = dict(lines(found))
    assert told["Missing numbers"] == "mice, 1,200 cells of a fold's train rows"
    assert told["tried: median"].startswith("hidden cells 1, loss 0.5, worse than the best by 0.1")
    assert told["Dropped columns"] == "twin (moves with column 0; 2 of 5 folds)"
    assert told["Rare levels"] == "city, 12 rows"
    assert "Levels in buckets" not in told
    assert "Interactions" not in told
    assert lines({"imputation": {"kind": "median", "cells": [0]}}) == []


def test_the_report_says_what_was_chosen_crossed_and_reduced():
    found = {
        "folds": 5,
        "chosen": {"age": 1.0, "noise": 0.3},
        "interactions": {"a * b": {"folds": 4, "explains": 0.123}},
        "asked": {"keep": 1, "keep_by": "importance", "interactions": 2},
        "reduced": {
            "kind": "pca",
            "size": 7,
            "asked": 9,
            "numbers": 7,
            "join": False,
            "kept": [1.0, 0.98],
        },
    }
    told = dict(lines(found))
    assert told["Chosen by importance, share of looks"] == "age 100%; noise 30%"
    assert told["Interactions"].startswith("a * b (4 of 5 folds, explains up to 12.3%")
    assert told["Components"] == (
        "7 of 7 numbers by pca, which hold 98.0% of their variance or more; 9 were asked for, in their stead"
    )
    nothing = dict(lines({**found, "interactions": {}}))
    assert nothing["Interactions"] == "none says more than single columns do"


def test_the_report_says_how_many_rows_each_fold_left_out_and_by_which_columns():
    found = {
        "limit": 8.0,
        "train": [800, 801],
        "left_out": [12, 9],
        "columns": {"income": 8, "age": 5},
        "more_columns": 3,
    }
    assert lines({"outliers": found}) == [
        (
            "Outlier rows",
            "beyond 8 widths left out; fold 0: 12 of 800 train rows; fold 1: 9 of 801 train rows",
        ),
        ("Outlier rows by column, the most in a fold", "income 8; age 5; 3 more"),
    ]
    single = found | {"train": [800], "left_out": [12], "more_columns": 0}
    assert lines({"outliers": single}) == [
        ("Outlier rows", "beyond 8 widths left out; 12 of 800 train rows"),
        ("Outlier rows by column", "income 8; age 5"),
    ]
    nothing = found | {"left_out": [0, 0], "columns": {}}
    assert lines({"outliers": nothing}) == [
        ("Outlier rows", "none: no train row lies farther out than 8 widths")
    ]
    assert lines({"outliers": None}) == []
