"""What the files of a run say, read once."""

from functools import cached_property
from typing import Any

from vibe_rl.configs.train_config import ALGORITHMS
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.divergence import divergence_of
from vibe_rl.run_dir.files import numbered_files
from vibe_rl.run_dir.group import AnyPath
from vibe_rl.run_dir.notes import HealthNote, SessionNote, health_of, last_session, sessions_of
from vibe_rl.tracking.jsonl import furthest_step, read_metrics

_NO_METRICS = {"step", "update", "wall_time", "episodes", "gradient_steps"}


class RunFacts:
    """One run, by its directory.

    Raises:
        ConfigError: it is no run directory, or a file of it is damaged.
    """

    def __init__(self, path: AnyPath):
        self.run_dir = RunDir.open(path)
        self.rows: list[dict[str, Any]] = read_metrics(self.run_dir)
        self.configs = self._numbered("config")
        self.manifests = self._numbered("manifest")
        self.sessions: list[SessionNote] = sessions_of(self.run_dir)
        self.health: list[HealthNote] = health_of(self.run_dir)
        self.divergence = divergence_of(self.run_dir)

    def _numbered(self, stem: str) -> list[dict[str, Any]]:
        files = numbered_files(self.run_dir.root, stem, ".json")
        return [self.run_dir.load_config(path.name) for path in files]

    @property
    def name(self) -> str:
        """Of its directory."""
        return self.run_dir.root.name

    @property
    def config(self) -> dict[str, Any]:
        """The newest; empty where none was recorded."""
        return self.configs[-1] if self.configs else {}

    @property
    def title(self) -> str:
        """Its environment and algorithm, or the name of its directory."""
        env_id, algorithm = self.config.get("env_id"), self.config.get("algorithm")
        return f"{env_id} · {str(algorithm).upper()}" if env_id and algorithm else self.name

    @property
    def total(self) -> int | None:
        """Its budget in env steps."""
        return self.config.get("runner", {}).get("total_timesteps")

    @cached_property
    def step(self) -> int:
        """The env step of its last row."""
        return furthest_step(self.rows)

    def column(self, name: str) -> list[float]:
        """A metric, wherever it is a number."""
        return [row[name] for row in self.rows if _is_number(row.get(name))]

    @cached_property
    def metrics(self) -> list[str]:
        """The names of its metrics, in the order of the rows."""
        rows = [row for row in self.rows if "update" in row]
        names = dict.fromkeys(name for row in rows for name in row if _is_number(row[name]))
        return [name for name in names if name not in _NO_METRICS]

    @property
    def losses(self) -> list[str]:
        """Those of its metrics that are losses."""
        name = self.config.get("algorithm")
        known = ALGORITHMS[name][1].losses if name in ALGORITHMS else ()
        return [each for each in self.metrics if each in known or each.endswith("loss")]

    @property
    def seconds(self) -> float | None:
        """How long it trained, all sessions together; without them, as its log says."""
        measured = [sum(each.seconds.values()) for each in self.sessions if each.seconds]
        return sum(measured) if measured else next(reversed(self.column("wall_time")), None)

    @property
    def status(self) -> tuple[str, str]:
        """A word about how it ended, and a sentence."""
        if self.divergence is not None:
            return "diverged", f"It diverged: {self.divergence.reason}"
        if not self.rows:
            return "empty", "Nothing was logged: it ended before its first row, or is compiling."
        of_total = f" of {self.total:,}" if self.total else ""
        of_all = f"{self.step:,}{of_total} env steps"
        last = last_session(self.sessions, self.step)
        if last is None:
            return "unfinished", f"{of_all}; its last session did not end, or still trains."
        if last.status == "failed" and self.step < (self.total or 0):
            return "failed", f"It failed after {of_all}: {last.reason}"
        return last.status, f"{of_all}."


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
