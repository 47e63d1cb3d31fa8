"""The models of a run: SB3's zip files in a folder, which appear whole or not at all."""

import errno
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from vibe_rl.errors import ConfigError, shown, writing
from vibe_rl.run_dir.files import absolute, first_free, numbered_names, write_atomically

PERIODIC = "maskable_ppo_hack_{step}_steps.zip"
ASIDE = "set_aside"


class Models:
    """A folder `models/RUN`, made when the first model is saved."""

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = absolute(folder)

    def path(self, role: str) -> Path:
        """The best, final, interrupted or crash_recovery model."""
        return self.folder / f"{role}_model.zip"

    def save(self, model: Any, role: str) -> Path:
        """Saves the model of a role, and returns its path."""
        return self._write(model, self.path(role))

    def save_periodic(self, model: Any) -> Path:
        """Saves a model that stays, under its env step."""
        return self._write(model, self.folder / PERIODIC.format(step=model.num_timesteps))

    def _write(self, model: Any, path: Path) -> Path:
        check_model_writable(self.folder)
        with write_atomically(path) as file:
            model.save(file)
        return path

    def set_aside_after(self, step: int) -> Path | None:
        """Moves the models of later env steps into a new folder, which is returned."""
        later = [path for path in sorted(self.folder.glob("*.zip")) if is_later(path, step)]
        if not later:
            return None
        aside = first_free(self.folder, numbered_names(ASIDE, first="_1"))
        aside.mkdir()
        for path in later:
            path.rename(aside / path.name)
        return aside


def check_model_writable(folder: Path) -> None:
    """Makes a folder if it is not there; UnwritableError if nothing can be written in it."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def is_later(path: Path, step: int) -> bool:
    """Whether a file is a model of an env step after this one."""
    with suppress(ConfigError):
        return step_of(path) > step
    return False


def step_of(path: Path) -> int:
    """The env steps that a saved model has seen, read without running any of its code.

    Raises:
        ConfigError: the file is no model of SB3.
    """
    try:
        with ZipFile(path) as archive:
            return int(json.loads(archive.read("data"))["num_timesteps"])
    except (OSError, BadZipFile, KeyError, TypeError, ValueError):
        raise ConfigError(
            f"{shown(path)} is no model of Stable-Baselines3: name a .zip that it has saved."
        ) from None
