"""The command line: `vibe-rl train | evaluate | plot | envs`."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from vibe_rl.errors import ConfigError, NonFiniteLossError, unknown


def train(args: Sequence[str]) -> None:
    """Train a preset: vibe-rl train cartpole_ppo --algo.lr 1e-3, or go on: train --resume RUN."""
    from vibe_rl import experiment  # noqa: PLC0415 - each command imports what it needs
    from vibe_rl.configs import cli, override  # noqa: PLC0415

    path, words = taken_out("--resume", args)
    seeds, words = taken_out("--seeds", words)
    if seeds is not None or (path is not None and many_seeds_of(path)):
        train_many(path, seeds, words)
        return
    if path is None:
        config = cli(words)
        run_dir, result = experiment.train(config)
    else:
        config = override(experiment.config_of(path), words)
        run_dir, result = experiment.resume(path, config)
    ending = "interrupted" if result.interrupted else "complete"
    print(f"Training {ending} | {result.step:,} env steps, {result.updates:,} updates")
    if result.evaluation is not None and not result.interrupted:
        print(f"Evaluation | {describe(result.evaluation)}")
    print(f"Run | {run_dir}")
    if result.interrupted:
        print(f"Go on | vibe-rl train --resume {run_dir}")
    if config.runner.plot:
        try_to_draw(str(run_dir))


def train_many(path: str | None, seeds: str | None, words: Sequence[str]) -> None:
    """Trains a preset with many seeds at once, or goes on with such a group."""
    use_all_cores()
    from vibe_rl import many_seeds  # noqa: PLC0415
    from vibe_rl.configs import cli, override  # noqa: PLC0415
    from vibe_rl.experiment import config_of  # noqa: PLC0415

    check_seed_options(path, seeds, words)
    if path is None:
        config = cli(words)
        group, results = many_seeds.train_seeds(config, many_seeds.parse_seeds(str(seeds)))
    else:
        config = override(config_of(path), words)
        group, results = many_seeds.resume_seeds(path, config)
    ending = "interrupted" if results[0].interrupted else "complete"
    print(f"Training {ending} | {results[0].step:,} env steps of each of {len(results)} seeds")
    scores = [r.evaluation for r in results if r.evaluation is not None and not r.interrupted]
    if scores:
        print(f"Evaluation | {summary([float(score.mean_return) for score in scores])}")
    print(f"Run | {group}")
    if results[0].interrupted:
        print(f"Go on | vibe-rl train --resume {group}")
    if config.runner.plot:
        try_to_draw(str(group))


def check_seed_options(path: str | None, seeds: str | None, words: Sequence[str]) -> None:
    """Raises ConfigError for options that contradict each other."""
    if path is not None and seeds is not None:
        raise ConfigError(f"--seeds {seeds} with --resume: a group keeps its seeds, leave it out.")
    if any(word.startswith("--runner.seed") for word in words):
        raise ConfigError("runner.seed is each of --seeds in turn: leave it out.")


def use_all_cores() -> None:
    """Pretends a device for every core, if JAX has not begun and nothing else was asked for."""
    import jax  # noqa: PLC0415

    if "JAX_NUM_CPU_DEVICES" in os.environ or "device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    allowed = getattr(os, "sched_getaffinity", None)  # only Linux tells
    n_cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    with suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", n_cores)


def many_seeds_of(path: str) -> bool:
    """Whether it is a group of runs."""
    return (Path(path) / "members").is_dir()


def summary(returns: Sequence[float]) -> str:
    """One line about the mean returns of several seeds."""
    from vibe_rl.aggregate import aggregate  # noqa: PLC0415

    iqm, low, high, n_seeds = aggregate(returns)
    return (
        f"IQM {iqm:.2f} [{low:.2f}, {high:.2f}] of {n_seeds} seeds (95 % bootstrap), "
        f"worst {min(returns):.2f}"
    )


def taken_out(option: str, args: Sequence[str]) -> tuple[str | None, list[str]]:
    """The word after an option such as `--resume`, if it is there, and the other words."""
    words = [
        part
        for arg in args
        for part in (arg.split("=", 1) if arg.startswith(f"{option}=") else [arg])
    ]
    if option not in words:
        return None, words
    i = words.index(option)
    if i + 1 == len(words) or words[i + 1].startswith("--"):
        raise ConfigError(f"{option} needs {NEEDS[option]}.")
    return words[i + 1], words[:i] + words[i + 2 :]


NEEDS = {
    "--resume": "a run: vibe-rl train --resume RUN",
    "--seeds": "seeds: vibe-rl train PRESET --seeds 0:8",
}


def evaluate(args: Sequence[str]) -> None:
    """Evaluate a saved agent: vibe-rl evaluate RUN [--episodes 128] [--seed 1] [--best]."""
    import tyro  # noqa: PLC0415

    from vibe_rl import experiment  # noqa: PLC0415
    from vibe_rl.run_dir import find_runs  # noqa: PLC0415

    def options(
        run: tyro.conf.Positional[str],
        episodes: int | None = None,
        seed: int | None = None,
        best: tyro.conf.FlagCreatePairsOff[bool] = False,
    ):
        """Greedy episodes of the latest agent, or of the best; by default those it had before."""
        members = [str(member) for member in find_runs(Path(run) / "members")]
        scores = [experiment.evaluate_run(x, episodes, seed, best) for x in members or [run]]
        return members, scores

    members, scores = tyro.cli(options, args=list(args), prog="vibe-rl evaluate")
    if not members:
        print(describe(scores[0]))
        return
    for member, score in zip(members, scores, strict=True):
        print(f"{Path(member).name} | {describe(score)}")
    print(summary([float(score.mean_return) for score in scores]))


def plot(args: Sequence[str]) -> None:
    """Draw reward curves: vibe-rl plot RUN [RUN ...] (--output FILE)."""
    import tyro  # noqa: PLC0415

    def options(runs: tyro.conf.Positional[tuple[str, ...]], output: str | None = None):
        """One run, many seeds of an algorithm, or several algorithms."""
        draw(list(runs), output)

    tyro.cli(options, args=list(args), prog="vibe-rl plot")


def envs(args: Sequence[str]) -> None:
    """List the environments that have a name."""
    from vibe_rl.env.registry import names  # noqa: PLC0415

    print("\n".join(names()))


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "train": train,
    "evaluate": evaluate,
    "plot": plot,
    "envs": envs,
}


def describe(evaluation) -> str:
    """One line about an evaluation."""
    mean, std = float(evaluation.mean_return), float(evaluation.std_return)
    episodes = len(evaluation.episode_returns)
    return (
        f"return {mean:.2f} +- {std:.2f} over {episodes} greedy episodes, "
        f"length {float(evaluation.mean_length):.1f}"
    )


def draw(runs: Sequence[str], output: str | None = None) -> None:
    """Writes the reward curve of these runs, into the first one's artifacts by default."""
    from vibe_rl.plotting import plot_reward_curve  # noqa: PLC0415
    from vibe_rl.run_dir import RunDir, find_runs  # noqa: PLC0415

    if not runs:
        raise ConfigError("vibe-rl plot needs at least one run: vibe-rl plot RUN.")
    path = output or RunDir.open(runs[0]).artifact_path("reward_curve.png")
    each = [str(x) for run in runs for x in (find_runs(Path(run) / "members") or [run])]
    plot_reward_curve(each, save_path=path)
    print(f"Reward curve | {path}")


def try_to_draw(run: str) -> None:
    """Draws if it can; a finished run is no failure for want of matplotlib or of episodes."""
    try:
        draw([run])
    except ConfigError as error:
        print(f"Reward curve | none: {error}")


def usage() -> str:
    """All commands, a line each."""
    lines = [f"  {name:10s}{(command.__doc__ or '').strip()}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: vibe-rl COMMAND ...", "", *lines])


def end_at_ctrl_c() -> None:
    """Leaves Ctrl-C to the system: it ends the process at once, even while it compiles.

    A run takes over the first one while it trains, to end with a checkpoint.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def main(args: Sequence[str] | None = None) -> None:
    """Runs one command; what the user got wrong ends it with one sentence and exit status 2."""
    if args is None:
        end_at_ctrl_c()
    words = list(sys.argv[1:] if args is None else args)
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return
    try:
        if words[0] not in COMMANDS:
            raise unknown("command", words[0], COMMANDS)
        COMMANDS[words[0]](words[1:])
    except (ConfigError, NonFiniteLossError) as error:
        print(f"vibe-rl: {error}", file=sys.stderr)
        raise SystemExit(2 if isinstance(error, ConfigError) else 1) from None
