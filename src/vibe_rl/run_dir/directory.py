"""Where the files of one run live: paths and small JSON files, nothing else.

<base_dir>/<experiment_name>_<UTC time>/
  config.json  manifest.json  checkpoints/  logs/  videos/  artifacts/
"""

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vibe_rl.errors import ConfigError, check_kind, short, shown, whole_number, writing
from vibe_rl.run_dir.files import (
    absolute,
    first_free,
    numbered_files,
    numbered_names,
    read_json,
    write_atomically,
)
from vibe_rl.run_dir.manifest import describe_environment
from vibe_rl.run_dir.plain import plain

CURVE = "reward_curve.png"
"""The artifact that shows what was learned."""
EPISODES = "evaluation_episodes.csv"
"""The artifact with a row for each episode of the last evaluation, where there is one."""
_FOLDERS = ("checkpoints", "logs", "videos", "artifacts")
_STEP = re.compile(r"step_\d+")


class RunDir:
    """A new directory for one run, never one that exists already.

    Args:
        experiment_name: First part of the directory's name; slashes and colons become dashes.
        base_dir: Where runs are kept.
        run_id: The whole name instead of one made of `experiment_name` and the time.

    Raises:
        ConfigError: The directory `run_id` exists, or `run_id` is not a plain name.
    """

    def __init__(
        self,
        experiment_name: str = "default",
        base_dir: str | os.PathLike[str] = "runs",
        *,
        run_id: str | None = None,
    ):
        base = absolute(base_dir)
        stamped = f"{_slug(experiment_name)}_{datetime.now(UTC):%Y%m%d_%H%M%S}"
        names = numbered_names(stamped) if run_id is None else [_plain_name(run_id)]
        with writing(base):
            base.mkdir(parents=True, exist_ok=True)
            self._root = _claim(base, names)
            for name in _FOLDERS:
                (self._root / name).mkdir()
        self._named = Path(base_dir, self._root.name)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "RunDir":
        """The run that lives in the existing directory `path`.

        Raises:
            ConfigError: `path` is not a run directory.
        """
        root = absolute(path)
        if not (root / "logs").is_dir():
            raise ConfigError(f"{path} is not a run directory: it has no folder logs/.")
        run = cls.__new__(cls)
        run._root, run._named = root, path._named if isinstance(path, RunDir) else Path(path)
        return run

    @property
    def root(self) -> Path:
        """The directory itself; absolute, as all paths of its files."""
        return self._root

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints, one `step_N` each."""
        return self._root / "checkpoints"

    @property
    def logs(self) -> Path:
        """Folder of metrics and of trackers' files."""
        return self._root / "logs"

    @property
    def videos(self) -> Path:
        """Folder of recorded episodes."""
        return self._root / "videos"

    @property
    def artifacts(self) -> Path:
        """Folder of plots, reports and exports."""
        return self._root / "artifacts"

    @property
    def best_checkpoint(self) -> Path | None:
        """The checkpoint last marked best, or None."""
        link = self._best_link
        exists = link.is_symlink() and link.is_dir()
        return self.checkpoints / os.readlink(link) if exists else None

    @property
    def latest_checkpoint(self) -> Path | None:
        """The checkpoint of the highest step, or None."""
        return next(reversed(self.list_checkpoints()), None)

    def checkpoint_dir(self, step: int) -> Path:
        """The folder `checkpoints/step_N`, created."""
        path = self.checkpoints / f"step_{whole_number('step', step)}"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def log_path(self, name: str = "metrics.jsonl") -> Path:
        """The path of a log."""
        return self.logs / name

    def video_path(self, step: int, prefix: str = "eval") -> Path:
        """The path of the video recorded at `step`."""
        return self.videos / f"{prefix}_step_{step}.mp4"

    def artifact_path(self, name: str) -> Path:
        """The path of a plot, report or export."""
        return self.artifacts / name

    def save_config(self, config: Any, name: str = "config.json") -> Path:
        """Write a dataclass, a mapping or an object with `to_dict()` as strict JSON.

        NaN and infinities become the strings "nan", "inf" and "-inf", which `float` reads.

        Raises:
            ConfigError: The file exists, or `config` is not a record.
        """
        path, record = self._root / name, plain(config)
        if not isinstance(record, dict):
            raise ConfigError(
                f"config {short(config)} is not a record: pass a dataclass or a dict."
            )
        if path.exists():
            raise ConfigError(f"{shown(path)} exists and is never overwritten: start another run.")
        return _write_json(path, record)

    def load_config(self, name: str = "config.json") -> dict[str, Any]:
        """The config as plain dicts, lists, strings and numbers.

        Raises:
            ConfigError: The file is missing or damaged.
        """
        path = self._root / name
        if not path.exists():
            raise ConfigError(
                f"{shown(path)} does not exist: resume a run of train_* by the same call with "
                "resume=True; elsewhere write it with save_config."
            )
        return read_json(path)

    def load_latest_config(self) -> dict[str, Any]:
        """The config that a resumed run recorded last, or config.json."""
        recorded = numbered_files(self._root, "config", ".json")
        return self.load_config(recorded[-1].name if recorded else "config.json")

    def save_next_config(self, config: Any) -> Path:
        """Write the config of a resumed run to config_2.json, config_3.json and so on."""
        path = first_free(self._root, numbered_names("config", ".json"))
        return self.save_config(config, path.name)

    def save_manifest(self, extra: Mapping[str, Any] | None = None) -> Path:
        """Write what the run runs on, and `extra` such as the seed, to manifest.json.

        It holds neither the host's name nor its folders. A resumed run adds manifest_2.json.
        """
        path = first_free(self._root, numbered_names("manifest", ".json"))
        return _write_json(path, {**describe_environment(), **plain(dict(extra or {}))})

    def mark_best(self, step: int) -> None:
        """Point `checkpoints/best` at the checkpoint of `step`, in one atomic rename.

        Raises:
            ConfigError: There is no such checkpoint.
        """
        name = f"step_{whole_number('step', step)}"
        if not (self.checkpoints / name).is_dir():
            raise ConfigError(
                f"{shown(self.checkpoints)} has no {name} to mark best: save it first."
            )
        if self._best_link.is_dir() and not self._best_link.is_symlink():  # as in copies
            self._best_link.rename(first_free(self.checkpoints, numbered_names("best_copied")))
        if self._best_link.is_symlink() and os.readlink(self._best_link) == name:
            return
        link = self.checkpoints / f".best_{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(name)  # relative, so that a run can be moved
        link.replace(self._best_link)

    @property
    def _best_link(self) -> Path:
        return self.checkpoints / "best"

    def list_checkpoints(self) -> list[Path]:
        """The folders `step_N` that hold anything, by rising step."""
        paths = [path for path in self.checkpoints.glob("step_*") if _STEP.fullmatch(path.name)]
        return sorted((p for p in paths if p.is_dir() and any(p.iterdir())), key=_natural)

    def cleanup_checkpoints(self, keep: int = 5) -> list[Path]:
        """Remove all but the newest `keep` checkpoints and the best; the removed, by rising step.

        Raises:
            ConfigError: `keep` is below one.
        """
        keep = whole_number("keep", keep)
        if keep < 1:
            raise ConfigError(f"keep {keep} would leave no checkpoint: pass one or more.")
        best = self.best_checkpoint
        removed = [path for path in self.list_checkpoints()[:-keep] if path != best]
        for path in removed:  # renamed first: a kill must not leave half a checkpoint
            path.rename(path.with_name(f".removed_{path.name}"))
        for path in self.checkpoints.glob(".removed_*"):
            shutil.rmtree(path)
        return removed

    def __fspath__(self) -> str:
        """The absolute path, for whatever opens files."""
        return str(self._root)

    def __str__(self) -> str:
        """The directory as it was named, for people."""
        return str(self._named)

    def shown(self, path: str | os.PathLike[str]) -> Path:
        """The path of one of its files as the directory was named, for people."""
        return self._named / Path(path).relative_to(self._root)

    def __repr__(self) -> str:
        return f"RunDir.open({str(self)!r})"


def find_runs(
    base_dir: str | os.PathLike[str] = "runs", experiment_name: str | None = None
) -> list[RunDir]:
    """The runs in `base_dir`, of one experiment if named, sorted by name and so by time."""
    prefix = "" if experiment_name is None else f"{_slug(experiment_name)}_"
    paths = [p for p in Path(base_dir).glob("*") if p.name.startswith(prefix)]
    runs = [path for path in paths if (path / "logs").is_dir()]
    return [RunDir.open(path) for path in sorted(runs, key=_natural)]


def check_free_name(run_id: str, base_dir: str | os.PathLike[str] = "runs") -> None:
    """Raises ConfigError for what `RunDir` refuses as `run_id`; nothing is made."""
    if (absolute(base_dir) / _plain_name(run_id)).exists():
        raise _taken(run_id, absolute(base_dir))


def _slug(name: str) -> str:
    check_kind("name of a run", name, str)
    if "\0" in name:
        raise ConfigError(f"name of a run {short(name)}: leave out the null.")
    return re.sub(r"[/\\:]", "-", name)


def _plain_name(run_id: str) -> str:
    if run_id in ("", ".", "..") or _slug(run_id) != run_id:
        raise ConfigError(f"run_id {run_id!r} cannot name a directory: use a name without slashes.")
    return run_id


def _claim(base: Path, names: Iterable[str]) -> Path:
    """Create the first directory of `names` that is free, also if other processes try to."""
    taken = ""
    for name in names:
        with suppress(FileExistsError):
            (base / name).mkdir()
            return base / name
        taken = name
    raise _taken(taken, base)


def _taken(name: str, base: Path) -> ConfigError:
    return ConfigError(
        f"run_id {name!r} exists in {base}: choose another, or RunDir.open({str(base / name)!r})."
    )


def _natural(path: Path) -> list[str | int]:
    """Sorts `run_2` before `run_10`."""
    parts = re.split(r"(\d+)", path.name)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def _write_json(path: Path, content: dict[str, Any]) -> Path:
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
    with write_atomically(path) as file:
        file.write(f"{text}\n".encode(errors="backslashreplace"))  # undecodable paths
    return path
