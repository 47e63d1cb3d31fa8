"""The keys at the top of the tree, which have V-Max's names: what each means here, or why it is
refused.

V-Max counts in iterations, of `num_envs` envs on each device with `num_episode_per_epoch` scenarios
one after the other; we count env steps.
"""

import ast
import inspect
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

from vibe_rl.errors import ConfigError, Typed, check_bounds
from vibe_rl.types import number

TERMINATIONS = ("offroad", "overlap", "run_red_light")
AUTO = "auto"
"""Resumes the newest run of the same name."""


@dataclass(frozen=True)
class PipelineKeys(Typed):
    """The top of the tree."""

    total_timesteps: int = number(20_000_000, least=1)
    """Env steps over all envs and devices."""
    num_envs: int = number(16, least=1)
    """Environments on each device."""
    num_devices: int | None = number(None, least=1)
    """Devices; null is one."""
    num_episode_per_epoch: int = number(4, least=1)
    """Scenarios that an env drives in an iteration, one after the other."""
    num_scenario_per_eval: int = number(256, least=0)
    """Held-out scenarios of an evaluation, each driven once; 0 never evaluates."""
    scenario_length: int = number(80, least=1)
    """Decisions of a scenario, 0.1 s each."""
    log_freq: int = number(5, least=0)
    """Iterations between rows of metrics; 0 writes one a update."""
    save_freq: int = number(200, least=0)
    """Iterations between checkpoints; 0 saves by time and at the end."""
    eval_freq: int = number(20, least=0)
    """Iterations between evaluations; 0 evaluates at the end only."""
    termination_keys: tuple[str, ...] = TERMINATIONS
    """What ends an episode."""
    seed: int = number(0, least=0, most=2**64 - 1)
    """Of everything random."""
    name_run: str | None = None
    """Name of the run's directory; null is one of algorithm, observation, encoder, time, seed."""
    name_exp: str | None = None
    """Folder of run directories; null is runs."""
    path_dataset: str | None = None
    """A folder of scenarios, or of files to import; chooses scenarios=files if nothing else is."""
    path_dataset_eval: str | None = None
    """A folder of scenarios for evaluations; null holds some of path_dataset out."""
    resume: str | None = None
    """A run directory to go on with, or auto: the newest run of these settings, if there is one."""
    objective: str | None = None
    """Figure of the last evaluation that a sweep maximizes; null is success, or the return where
    the environment tells of no success."""

    def __post_init__(self):
        super().__post_init__()
        check_bounds(self)

    def iteration_steps(self, n_devices: int = 1) -> int:
        """Env steps of an iteration over all envs and devices."""
        return self.num_envs * n_devices * self.num_episode_per_epoch * self.scenario_length


FIELDS = {
    "total_timesteps": "total_timesteps",
    "num_envs": "num_envs",
    "num_devices": "num_devices",
    "num_scenario_per_eval": "eval_episodes",
    "seed": "seed",
}
"""Keys that are fields of the runner under V-Max's name."""
INTERVALS = {
    "log_freq": "log_interval",
    "save_freq": "checkpoint_interval",
    "eval_freq": "eval_every",
}
"""Keys that count iterations, and the runner's fields, which count env steps."""
ELSEWHERE = {
    "checkpoint_dir": "checkpoints lie in the run's directory, leave it out.",
    "resume": "give resume=RUN at the top.",
    "overwrite": "a run's directory is new or gone on with, leave it out.",
    "track": "give logger=tensorboard, or another logger.",
    "log_times": "rows always say where the time went, leave it out.",
}
"""Fields of the runner that the tree has not, and the remedy."""
ENCODER_NAMES = {"mlp": "embedded"}
"""Encoders that have V-Max's names in the tree, and ours."""
REFUSED = {
    "debug_flag": "set JAX_DISABLE_JIT=1 to step through a program.",
    "perf_flag": "give runner.matmul_precision=default for faster products on a GPU.",
    "cache_flag": "compiled programs are always kept, leave it out.",
    "waymo_dataset": "give scenarios=womd, which imports such files.",
    "max_num_objects": "a bank has slots of its own, chosen when it is made: leave it out.",
    "reward_type": "give reward=safety, navigation, behavior or progress.",
    "reward_config": "weights are reward.weights.NAME.",
    "observation_type": "give observation=vec, vec_small or gt.",
    "observation_config": "its fields are observation.NAME.",
    "algorithm.learning_rate": "give algorithm.lr, or actor_lr, critic_lr and alpha_lr of SAC.",
    "algorithm.discount": "give algorithm.gamma.",
    "algorithm.discounting": "give algorithm.gamma.",
    "algorithm.alpha": "give algorithm.init_alpha and algorithm.autotune_alpha.",
    "algorithm.grad_updates_per_step": "give algorithm.replay_ratio, gradient steps per env step.",
    "algorithm.learning_start": "give runner.warmup_steps, env steps over all envs.",
    "algorithm.buffer_size": "give runner.buffer_size, transitions over all devices.",
    "algorithm.unroll_length": "give algorithm.n_steps of PPO, else algorithm.train_every.",
    "algorithm.network": "give algorithm.hidden_sizes and algorithm.activation.",
    "path_model": "give --run to vibe-rl driving evaluate.",
    "output_dir": "give name_exp and name_run.",
}
"""Keys of V-Max that have another name here or mean nothing, and the remedy."""
PLACES = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.output_subdir")
"""Settings by which Hydra would say where runs lie."""


def check_key(name: str) -> None:
    """Raises ConfigError for a key of V-Max's, or a field of the runner, that is refused."""
    if name in REFUSED:
        raise ConfigError(f"{name} is V-Max's, and not a key here: {REFUSED[name]}")
    if name in (*PLACES, "hydra.job.chdir"):
        raise ConfigError(f"{name} has no effect: give name_exp and name_run, which say where.")
    section, _, field = name.partition(".")
    if section != "runner":
        return
    theirs = {ours: key for key, ours in (FIELDS | INTERVALS).items()}
    if field in theirs:
        raise ConfigError(f"{name} is {theirs[field]} at the top: give {theirs[field]}=...")
    if field in ELSEWHERE:
        raise ConfigError(f"{name} has no place in the tree: {ELSEWHERE[field]}")


def runner_values(keys: PipelineKeys) -> dict[str, Any]:
    """The fields of the runner that the keys are."""
    steps = keys.iteration_steps(keys.num_devices or 1)
    known = {ours: getattr(keys, theirs) for theirs, ours in FIELDS.items()}
    return known | {ours: getattr(keys, theirs) * steps for theirs, ours in INTERVALS.items()}


def key_names() -> list[str]:
    """The keys at the top."""
    return [field.name for field in fields(PipelineKeys)]


def meanings() -> dict[str, str]:
    """What each key at the top means: the text below its line."""
    (cls,) = ast.parse(inspect.getsource(PipelineKeys)).body
    assert isinstance(cls, ast.ClassDef)
    told = {}
    for line, below in pairwise(cls.body):
        if isinstance(line, ast.AnnAssign) and isinstance(below, ast.Expr):
            told[ast.unparse(line.target)] = " ".join(ast.literal_eval(below.value).split())
    return told
