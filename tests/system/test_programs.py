"""Where compiled programs are kept, and what is said where they cannot be."""

import logging
import math
import os
from pathlib import Path

import jax
import pytest

from vibe_rl.system import programs
from vibe_rl.system.notices import say_once
from vibe_rl.system.programs import FOLDER, LEAST_BYTES, LEAST_SECONDS, enable_compilation_cache


@pytest.fixture(autouse=True)
def _no_cache_yet(monkeypatch):
    """JAX's settings as a new process has them; afterwards they are this process's own again."""
    own = {name: jax.config.values[name] for name in (FOLDER, LEAST_SECONDS, LEAST_BYTES)}
    jax.config.update(FOLDER, None)
    say_once.cache_clear()
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    yield
    for name, value in own.items():
        jax.config.update(name, value)
    say_once.cache_clear()


def lines_of(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "vibe_rl"]


def test_a_folder_that_can_be_written_takes_programs_of_any_size(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    enable_compilation_cache()
    folder = Path(jax.config.values[FOLDER])
    assert folder.parent == tmp_path / "vibe_rl"
    assert list(folder.iterdir()) == []
    assert jax.config.values[LEAST_SECONDS] == 0
    assert not lines_of(caplog)


def test_a_user_without_a_home_compiles_anew_and_is_told_in_one_line(monkeypatch, caplog):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    for _ in range(2):
        enable_compilation_cache()
    (line,) = lines_of(caplog)
    assert "(Could not determine home directory): set XDG_CACHE_HOME to a folder" in line
    assert jax.config.values[FOLDER] is None


def test_a_folder_that_cannot_be_made_is_named_in_one_line(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for _ in range(2):
        enable_compilation_cache()
    assert len(lines_of(caplog)) == 1
    assert jax.config.values[FOLDER] is None


@pytest.mark.parametrize("name", ["XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"])
def test_a_folder_that_cannot_be_written_is_only_read(name, tmp_path, monkeypatch, caplog):
    def refuse(dir):
        raise PermissionError(13, os.strerror(13), f"{dir}/tmp1")

    monkeypatch.setattr(programs.tempfile, "TemporaryFile", refuse)
    monkeypatch.setenv(name, str(tmp_path))
    if name != "XDG_CACHE_HOME":
        jax.config.update(FOLDER, str(tmp_path))  # as JAX does when it is imported
    for _ in range(2):
        enable_compilation_cache()
    (line,) = lines_of(caplog)
    assert f"(Permission denied): set {name} to a folder that can be written" in line
    assert jax.config.values[FOLDER].startswith(str(tmp_path))
    assert jax.config.values[LEAST_SECONDS] == math.inf


def test_a_cache_that_the_user_has_set_up_stays_as_it_is(tmp_path, monkeypatch, caplog):
    jax.config.update(LEAST_SECONDS, 3)
    for folder in (str(tmp_path / "mine"), "gs://bucket/programs"):
        jax.config.update(FOLDER, folder)
        enable_compilation_cache()
        assert jax.config.values[FOLDER] == folder
    assert jax.config.values[LEAST_SECONDS] == 3
    assert not lines_of(caplog)


def test_matplotlib_does_not_tell_where_it_keeps_its_fonts(monkeypatch, caplog):
    pytest.importorskip("matplotlib")
    from vibe_rl.plotting.canvas import styled_figure  # noqa: PLC0415
    from vibe_rl.plotting.config import PlotConfig  # noqa: PLC0415

    with styled_figure(PlotConfig()):
        log = logging.getLogger("matplotlib")
        log.warning("Matplotlib created a temporary cache directory at /tmp/x because ...")
        log.warning("findfont: no such font")
    assert [record.getMessage() for record in caplog.records] == ["findfont: no such font"]
