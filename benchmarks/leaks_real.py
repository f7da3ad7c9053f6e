"""The real tables of PENSTOCK_DATA: what `init` leaves out, and what `check` then says of leaks."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

TABLES = {
    "adult": ("adult/adult-train.csv", "15"),
    "beijing_pm25": ("beijing_pm25/pollution.csv", "pm2.5"),
    "bike_sharing": ("bike_sharing/hour.csv", "cnt"),
    "boston_housing": ("boston_housing/BostonHousing.csv", "medv"),
    "breast_cancer_wisconsin": ("breast_cancer_wisconsin/breast-cancer-wisconsin.csv", "10"),
    "california_housing": ("california_housing/housing.csv", "median_house_value"),
    "chicago_taxi": ("chicago_taxi/data.csv", "payment_type"),
    "diamonds": ("diamonds/diamonds.csv", "price"),
    "german_credit": ("german_credit/GermanCredit_labelled.csv", "credit_risk"),
    "hflights": ("hflights/hflights.csv.gz", "ArrDelay"),
    "letter_recognition": ("letter_recognition/letter.csv", "lettr"),
    "penguins": ("penguins/penguins.csv", "species"),
    "spambase": ("spambase/spambase.csv", "type"),
    "titanic": ("titanic/train.csv", "Survived"),
    "wine_quality": ("wine_quality/winequality-red.csv", "12"),
    "ett": ("ett/ETTh1.csv", "OT"),
    "jhu_covid_daily": ("jhu_covid_daily/03-31-2020.csv.gz", "Confirmed"),
}
STAGES = ("load", "analyze", "contract", "engineer", "validate", "split", "leaks", "canary")


def every() -> dict[str, Any]:
    """Return, by table, what was dropped, refused and suspected, and the seconds of the stages."""
    place = os.environ.get("PENSTOCK_DATA", "")
    wanted = os.environ.get("PENSTOCK_TABLES", "").split()
    tables = {n: t for n, t in TABLES.items() if not wanted or n in wanted}
    return {name: _one(Path(place) / path, target) for name, (path, target) in tables.items()}


def _one(source: Path, target: str) -> dict[str, Any]:
    from flows.begin import begin
    from flows.errors import PenstockError
    from flows.home import open_home
    from flows.json_files import read_json
    from flows.maker import Maker
    from flows.progress import Progress
    from flows.settings import load_spec

    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            written = begin(str(source), target=target)
            spec = load_spec(written["settings"])
            maker = Maker(spec, open_home(Path(folder)), Progress(quiet=True))
            seconds = {name: maker.make(name).seconds for name in STAGES}
            found = read_json(maker.made["leaks"].path / "leaks.json")
        except PenstockError as error:
            return {"refused": re.sub(r"\s+", " ", str(error))[:600]}
        finally:
            os.chdir(before)
    said = [f"{f['type']}.{f['kind']}: {f['sentence']}" for f in found["findings"]]
    took = {name: seconds[name] for name in ("leaks", "canary")}
    return {"dropped": list(spec.data.drop), "id": list(spec.data.id), "findings": said, **took}
