"""System metrics: real samples of this machine, handed over in time, and never in the way."""

import threading

import pytest

from flows import vitals
from flows.vitals import Vitals, wanted


@pytest.fixture
def written():
    return []


def test_samples_come_early_and_the_last_at_the_end(written, monkeypatch):
    monkeypatch.setattr(vitals, "SHORTEST", 0.02)
    watched, several = threading.Event(), []

    def write(points):
        several.append(points)
        if len(several) >= 3:
            watched.set()

    one = Vitals(write)
    one.start()
    assert watched.wait(30)
    one.stop()
    points = [point for call in several for point in call]
    names = {name for name, *_ in points}
    assert {
        "system/cpu_utilization_percentage",
        "system/system_memory_usage_megabytes",
        "system/disk_usage_percentage",
        "system/network_receive_megabytes",
        "system/process_memory_megabytes",
    } <= names
    steps = [step for name, _, _, step in points if name == "system/process_memory_megabytes"]
    assert steps == list(range(len(steps)))
    assert all(value > 1 for name, value, *_ in points if name == "system/process_memory_megabytes")


def test_one_that_ends_at_once_still_says_something(written):
    one = Vitals(written.extend)
    one.start()
    one.stop()
    one._thread.join(30)
    one._hand_over()
    assert "system/process_memory_megabytes" in {name for name, *_ in written}
    assert not one._thread.is_alive()
    one.stop()


def test_a_machine_that_cannot_be_measured_ends_no_run(written, monkeypatch):
    def none():
        raise OSError("no /proc here")

    monkeypatch.setattr(vitals, "_monitors", none)
    one = Vitals(written.extend)
    one.start()
    one.stop()
    assert written == []


def test_the_environment_turns_it_off(monkeypatch):
    assert wanted()
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "false")
    assert not wanted()
