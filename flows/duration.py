"""Durations and clock times as people write them in settings: "7d", "0 3 * * *", "Asia/Seoul"."""

from __future__ import annotations

import re

SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST = 36_500 * SECONDS["d"]


def seconds_of(text: str) -> float:
    """Return the seconds in "30min", "12h", "7d", ...

    Raises:
        ValueError: it is no such duration.

    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(d|h|min|m|s|w)", text)
    if not found:
        msg = f'must be a duration such as "7d", "12h" or "30min", found {text!r}'
        raise ValueError(msg)
    seconds = float(found[1]) * SECONDS[found[2]]
    if seconds > LONGEST:
        msg = f"must be at most {LONGEST // SECONDS['d']}d, found {text!r}"
        raise ValueError(msg)
    return seconds


def check_cron(text: str) -> None:
    """Raise ValueError unless `text` is a cron line of five fields that comes due."""
    from cronsim import CronSim, CronSimError

    msg = f'must be five cron fields such as "0 3 * * *" (minute hour day month weekday), found {text!r}'
    fields = text.split()
    if len(fields) != 5 or not text.isascii():
        raise ValueError(msg)
    last = [part for part in (*fields[2].split(","), *fields[4].split(",")) if "L" in part.upper()]
    if last not in ([], ["L"]) or "L" in fields[4].upper():  # Prefect knows no LW and no 5L
        raise ValueError(f'{msg}; of "last", only L as the day is known')
    from datetime import UTC, datetime

    try:
        next(CronSim(text, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise ValueError(f"{msg}: {str(error).lower()}") from None
    except StopIteration:
        raise ValueError(f"{msg}: such a day never comes") from None


def check_zone(text: str) -> None:
    """Raise ValueError unless `text` is a time zone of the IANA data base."""
    from zoneinfo import available_timezones

    known = available_timezones()  # of what ZoneInfo reads, Prefect takes these alone
    if text not in known:
        near = _nearest_zone(text, known)
        hint = f"; did you mean {near}?" if near else ""
        raise ValueError(f'must be a time zone such as "Europe/Berlin", found {text!r}{hint}')


def _nearest_zone(text: str, known: set[str]) -> str | None:
    """Return the zone of that city, or the one spelt most alike."""
    import difflib

    asked = text.casefold().replace(" ", "_")
    city = asked.rpartition("/")[2]
    cities = {zone.casefold().rpartition("/")[2]: zone for zone in sorted(known) if "/" in zone}
    whole = {zone.casefold(): zone for zone in known}
    if asked in whole or city in cities:
        return whole.get(asked) or cities[city]
    for names, found in ((whole, asked), (cities, city)):
        if near := difflib.get_close_matches(found, names, n=1, cutoff=0.7):
            return names[near[0]]
    return None
