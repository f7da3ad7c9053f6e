"""Progress: plain lines on standard error, a live line on a real terminal."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from flows.progress import Progress

ROOT = Path(__file__).resolve().parents[2]


def test_plain_lines_go_to_standard_error_alone(capsys):
    with Progress() as progress:
        progress.begin("load")
        progress.step("half")
        progress.done("load", 1.25, reused=False, text="80 rows")
        progress.done("split", 0.0, reused=True)
    out, said = capsys.readouterr()
    assert out == ""
    assert said.splitlines() == ["  load          1.2 s  80 rows", "  split        reused"]


def test_a_long_stage_says_how_far_it_is_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr("flows.progress.EVERY_SECONDS", 0.0)
    progress = Progress()
    progress.begin("train")
    progress.step("epoch 3 of 40")
    assert capsys.readouterr().err == "  train      epoch 3 of 40\n"


def test_quiet_keeps_all_but_warnings_back_and_remembers_them(capsys):
    progress = Progress(quiet=True)
    progress.say("not this")
    progress.done("load", 1.0, reused=False)
    progress.warn("[red]신용[/red] <b>")
    assert capsys.readouterr().err == "  warning: [red]신용[/red] <b>\n"
    assert progress.warnings == ["[red]신용[/red] <b>"]


def on_a_terminal(*lines):
    """Return what a terminal gets, and standard output."""
    code = "\n".join(
        [
            "import time",
            "from flows.progress import Progress",
            "with Progress() as p:",
            *(f"    {line}" for line in lines),
        ]
    )
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        said += piece
    os.close(ours)
    assert done.wait(timeout=60) == 0
    return said, done.stdout.read()


def test_a_terminal_gets_a_live_line_with_markup_as_text():
    said, out = on_a_terminal(
        "p.begin('train'); p.step('[bold]x[/nope]'); p.warn('[red]' + 'w' * 200)",
        "p.done('train', 2.0, reused=False, text='[/x] done')",
    )
    assert out == b""
    assert b"[red]" + b"w" * 200 in said  # a terminal breaks the line, not we
    assert b"[/x] done" in said


def test_a_terminal_gets_a_live_table_of_what_is_told_in_several_respects():
    said, _ = on_a_terminal(
        "p.begin('sweep'); p.board({'trials': '8 of 32', 'best': '[b]0.5'}); time.sleep(0.5)"
    )
    for word in (b"sweep", b"trials", b"8 of 32", b"best", b"[b]0.5"):
        assert word in said


def test_without_a_terminal_a_table_is_a_line_now_and_then(capsys):
    progress = Progress()
    progress.begin("sweep")
    progress.board({"trials": "0 of 32", "best": "none yet"})
    progress._said = -1e9
    progress.board({"trials": "8 of 32", "best": "0.5"})
    assert capsys.readouterr().err == "  sweep      trials 8 of 32, best 0.5\n"
