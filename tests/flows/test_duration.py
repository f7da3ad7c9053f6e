"""Times as people write them, and the sections of the settings that hold them."""

from zoneinfo import available_timezones

import pytest

from flows.duration import check_cron, check_zone, seconds_of
from flows.errors import SettingsError
from flows.settings import load_spec
from flows.stages import settings_digest

GOOD = 'name = "n"\n[data]\nsource = "a.csv"\ntarget = "y"\n'
CRONS = [
    "0 3 * * *",
    "*/15 9-17 * * MON-FRI",
    "0 0 1,15 * *",
    "0 0 L * *",
    "30 4 1 JAN-mar *",
    "0 0 * * 5#2",
    "0 12 29 2 *",
    "0 12 * JUL 7",
]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("90 s", 90),
        ("30min", 1800),
        ("5m", 300),
        ("1.5h", 5400),
        ("7d", 604_800),
        ("2w", 1_209_600),
    ],
)
def test_a_duration_is_a_number_with_its_unit(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "10", "s", "-5min", "1e3s", "5 years", "1h30m", "10s\n", "nan d", ".5h"]
)
def test_what_is_no_duration_is_said_with_examples(text):
    with pytest.raises(ValueError, match='"7d", "12h" or "30min", found') as caught:
        seconds_of(text)
    assert repr(text) in str(caught.value)


def test_a_duration_beyond_all_clocks_is_refused():
    assert seconds_of("36500d") == 36_500 * 86_400
    with pytest.raises(ValueError, match="at most 36500d, found '9999999999999d'"):
        seconds_of("9999999999999d")


@pytest.mark.parametrize("text", CRONS)
def test_a_cron_line_that_passes_is_one_that_prefect_takes(text):
    from prefect.client.schemas.schedules import CronSchedule

    check_cron(text)
    assert CronSchedule(cron=text).cron == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0 3 * *", "minute hour day month weekday"),
        ("0 0 3 * * *", "five cron fields"),
        ("@daily", "five cron fields"),
        ("61 * * * *", "bad minute"),
        ("0 24 * * *", "bad hour"),
        ("0 22-2 * * *", "bad hour"),
        ("0 3 32 * *", "bad day"),
        ("0 3 * 13 *", "bad month"),
        ("0 3 * * FUN", "bad day-of-week"),
        ("*/0 * * * *", "bad minute"),
        ("R 3 * * *", "bad minute"),
        ("0 0 30 2 *", "bad day"),
        ("0 0 LW * *", "only L as the day"),
        ("0 0 * * 5L", "only L as the day"),
        ("٠ 3 * * *", "five cron fields"),
    ],
)
def test_a_cron_line_that_never_comes_due_is_refused_with_what_is_wrong(text, why):
    with pytest.raises(ValueError, match=why) as caught:
        check_cron(text)
    assert repr(text) in str(caught.value)


def test_time_zones_are_those_that_prefect_takes():
    from prefect.client.schemas.schedules import CronSchedule

    odd = sorted(name for name in available_timezones() if "/" not in name)
    for name in (*odd, "Asia/Seoul", "Europe/Berlin"):
        check_zone(name)
        assert CronSchedule(cron="0 3 * * *", timezone=name).timezone == name


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("Seoul", "Asia/Seoul"),
        ("europe/berlin", "Europe/Berlin"),
        ("Asia/Berlin", "Europe/Berlin"),
        ("Europe/Berln", "Europe/Berlin"),
        ("America/New York", "America/New_York"),
        ("utc", "UTC"),
    ],
)
def test_a_zone_that_is_misspelt_gets_the_right_name(text, near):
    with pytest.raises(ValueError, match=f"did you mean {near}\\?"):
        check_zone(text)


@pytest.mark.parametrize("text", ["", "MEZ", "posixrules", "../etc/passwd", "한국"])
def test_a_zone_that_nobody_knows_is_refused_without_a_guess(text):
    with pytest.raises(ValueError, match="must be a time zone such as") as caught:
        check_zone(text)
    assert str(caught.value).endswith(f"found {text!r}")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ('cron = "0 3 * *"', "schedule.cron: must be five cron fields"),
        ('cron = "0 3 * * *"\ntimezone = "Seoul"', "schedule.timezone: must be a time zone"),
        ('timezone = "Seoul"', "did you mean Asia/Seoul?"),
        ('cron = "0 3 * * *"\ninterval = "1h"', "give cron or interval, not both"),
        ('interval = "9s"', "schedule.interval: must be at least 10 s, found '9s'"),
        ('timeout = "0s"', "schedule.timeout: must be at least 10 s"),
        ('interval = "soon"', 'schedule.interval: must be a duration such as "7d"'),
        ('interval = "40000d"', "schedule.interval: must be at most 36500d"),
        ("interval = 60", "schedule.interval: must be a valid string"),
        ('overlap = "queue"', "schedule.overlap: must be 'wait' or 'skip'"),
        ('crom = "0 3 * * *"', "schedule.crom: unknown key; did you mean cron?"),
    ],
)
def test_a_schedule_that_cannot_work_is_refused_by_key(write_spec, section, said):
    with pytest.raises(SettingsError) as caught:
        load_spec(write_spec(f"{GOOD}[schedule]\n{section}\n"))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("prefect_port = 0", "servers.prefect_port: must be greater than or equal to 1"),
        ("mlflow_port = 70000", "servers.mlflow_port: must be less than or equal to 65535"),
        ("runs = 0", "servers.runs: must be greater than or equal to 1"),
        ("hots = '0.0.0.0'", "servers.hots: unknown key; did you mean host?"),
    ],
)
def test_servers_that_cannot_be_are_refused_by_key(write_spec, section, said):
    with pytest.raises(SettingsError) as caught:
        load_spec(write_spec(f"{GOOD}[servers]\n{section}\n"))
    assert said in str(caught.value)


def test_a_schedule_says_whether_runs_start_by_themselves(write_spec):
    path = write_spec(GOOD)
    assert not load_spec(path).schedule.on_a_clock
    for clock in ('schedule.cron="0 3 * * *"', 'schedule.interval="6h"'):
        assert load_spec(path, [clock]).schedule.on_a_clock


def test_when_a_run_starts_and_where_servers_listen_change_nothing_that_is_made(write_spec):
    path = write_spec(GOOD)
    plain = settings_digest(load_spec(path))
    later = ['schedule.cron="0 3 * * *"', "schedule.timezone=Asia/Seoul", "servers.runs=4"]
    assert settings_digest(load_spec(path, [*later, "keep.days=3"])) == plain
    assert settings_digest(load_spec(path, ["train.seed=1"])) != plain
