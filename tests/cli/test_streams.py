"""Output that is not read to its end, and terminals that lack letters."""

import io
import logging
import os
import subprocess
import sys
from contextlib import redirect_stdout, suppress

import pytest

from processes import environ
from vibe_rl.cli import main
from vibe_rl.cli.shared.streams import forgiving_output
from vibe_rl.run_dir import RunDir
from vibe_rl.system.notices import say_once


@pytest.mark.parametrize(("words", "unbuffered"), [("--help", ""), ("train --help", "1")])
def test_a_pipe_that_closes_ends_a_command_quietly(words, unbuffered):
    reader, writer = os.pipe()
    os.close(reader)  # as `| head` does, only sooner
    variables = environ(PYTHONUNBUFFERED=unbuffered)
    command = [sys.executable, "-m", "vibe_rl", *words.split()]
    done = subprocess.run(
        command, env=variables, stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode == 141  # as a process that SIGPIPE ends


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a disk that is full")
@pytest.mark.parametrize("words", ["--help", "envs"])
def test_a_full_disk_behind_stdout_is_a_sentence(words):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "vibe_rl", words]
        done = subprocess.run(
            command, env=environ(), stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.stderr == b"vibe-rl: stdout cannot be written (No space left on device).\n"
    assert done.returncode == 1


def test_a_notice_is_one_line_above_the_progress(capsys, monkeypatch, tmp_path):
    say_once.cache_clear()
    monkeypatch.chdir(tmp_path)
    words = "--algo.num_envs 2 --runner.num_envs 8 --runner.total_timesteps 9"  # refused after it
    with pytest.raises(SystemExit):
        main(["train", "cartpole_ppo", *words.split()])
    notice, _ = capsys.readouterr().err.splitlines()
    assert notice.startswith("vibe-rl: num_envs: 2 envs are used, where the algorithm's config")
    assert not logging.getLogger("vibe_rl").handlers


def test_another_pipe_that_breaks_is_an_error_as_ever():
    with pytest.raises(BrokenPipeError), forgiving_output():
        raise BrokenPipeError


HELP = [f"{name} --help" for name in ("train", "evaluate", "plot", "compare", "sweep", "search")]


@pytest.mark.parametrize("words", ["--help", "envs", *HELP])
def test_no_command_fails_for_letters_that_a_terminal_lacks(words):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with redirect_stdout(terminal), suppress(SystemExit):
        main(words.split())
    assert len(terminal.buffer.getvalue()) > 100
    assert terminal.errors == "strict"


def test_a_path_with_such_letters_is_printed_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with redirect_stdout(terminal), forgiving_output():
        print(RunDir(base_dir="\xfcbung", run_id="a"))
    assert terminal.buffer.getvalue() == b"?bung/a\n"
