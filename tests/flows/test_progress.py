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


def test_a_terminal_gets_a_live_line_with_markup_as_text():
    code = (
        "from flows.progress import Progress\n"
        "with Progress() as p:\n"
        "    p.begin('train'); p.step('[bold]x[/nope]'); p.warn('[red]' + 'w' * 200)\n"
        "    p.done('train', 2.0, reused=False, text='[/x] done')\n"
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
    assert done.stdout.read() == b""
    assert b"[red]" + b"w" * 200 in said  # a terminal breaks the line, not we
    assert b"[/x] done" in said
