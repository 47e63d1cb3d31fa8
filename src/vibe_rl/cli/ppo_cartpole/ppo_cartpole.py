"""`vibe-rl ppo-cartpole train | evaluate | sweep | benchmark`: `PPOTrainer` on the command line."""

import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vibe_rl.cli.ppo_cartpole.options import (
    AGENTS,
    EvaluateOptions,
    TrainOptions,
    arguments_of_agent,
    arguments_of_trainer,
    given_of,
)
from vibe_rl.cli.shared.options import asks_help, parse_words, pop_option, split_names
from vibe_rl.cli.shared.output import print_result
from vibe_rl.errors import ConfigError, shown, unknown

if TYPE_CHECKING:
    from vibe_rl.run_dir.directory import RunDir
    from vibe_rl.trainers.ppo_trainer import PPOTrainer

COMMANDS = {
    "train": "Train until it converges: vibe-rl ppo-cartpole train --seed 0 --target-reward 475.",
    "evaluate": "Evaluate a run or a model: vibe-rl ppo-cartpole evaluate --checkpoint RUN.",
    "sweep": "Train many: vibe-rl ppo-cartpole sweep --seeds 0:5 --grid learning_rate=1e-4,3e-4.",
    "benchmark": "Measure steps per second: vibe-rl ppo-cartpole benchmark.",
}
FIXED = ("batch_size", "seed", "max_steps", "experiment_name", "mode", "num_envs")
"""Options that a resumed training keeps, as those of the agent."""


def ppo_cartpole(args: Sequence[str]) -> None:
    """Runs one of the commands."""
    if not args or asks_help(args[:1]):
        lines = [f"  {name:10s}{does}" for name, does in COMMANDS.items()]
        print("\n".join(["usage: vibe-rl ppo-cartpole COMMAND ...", "", *lines]))
        return
    name, *words = args
    if name not in COMMANDS:
        raise unknown("command of ppo-cartpole", name, COMMANDS)
    {"train": train, "evaluate": evaluate, "sweep": sweep, "benchmark": benchmark}[name](words)


def train(words: Sequence[str]) -> None:
    """Trains, and prints how it ended."""
    known = pop_option("--track", words)[1]
    options = parse_words(TrainOptions, known, "vibe-rl ppo-cartpole train")
    set_address(options.mlflow_uri)
    trainer = _trainer_of(options, words)
    print_result(lambda: trainer.train(resume=options.resume), print_results)


def _trainer_of(options: TrainOptions, words: Sequence[str]) -> "PPOTrainer":
    """The trainer that the options describe, or that of a run with what they change."""
    from vibe_rl.ops import prng  # noqa: PLC0415 - each command imports what it needs
    from vibe_rl.trainers.ppo_trainer import (  # noqa: PLC0415
        CartPoleWrapper,
        PPOAgent,
        PPOTrainer,
    )

    arguments = arguments_of_trainer(options, words)
    if options.resume:
        check_resumes(options, words)
        return PPOTrainer.restore(str(options.run_dir), **arguments)
    agent = PPOAgent(4, 2, key=prng.jax_key(options.seed), **arguments_of_agent(options))
    env = CartPoleWrapper(max_episode_steps=options.max_steps)
    own = {"seed": options.seed, "run_dir": options.run_dir}
    return PPOTrainer(agent, env, **own, **arguments)


def check_resumes(options: TrainOptions, words: Sequence[str]) -> None:
    """Raises ConfigError if the run to resume is not named, or its agent would be another."""
    if options.run_dir is None:
        raise ConfigError("--resume needs the run: --resume --run-dir RUN.")
    for name in given_of(options, words, (*AGENTS, *FIXED)):
        option = f"--{name.replace('_', '-')}"
        raise ConfigError(f"{option} of a resumed training stays as it was: leave it out.")


def set_address(uri: str | None) -> None:
    """Has this process, and those that it starts, use an address of MLflow."""
    if uri is not None:
        os.environ["MLFLOW_TRACKING_URI"] = uri


def print_results(results: Mapping[str, Any]) -> None:
    """Prints how a training ended, and how to go on."""
    interrupted = results["stop_reason"] == "interrupted"
    reason = {
        "converged": f"converged after {results['convergence_episode']} episodes",
        "max_episodes": "all episodes made",
    }.get(results["stop_reason"], results["stop_reason"])
    steps = f"{results['total_episodes']:,} episodes, {results['total_steps']:,} env steps"
    print(f"Training {'interrupted' if interrupted else 'complete'} | {reason} | {steps}")
    final = results["final_eval"]
    if final is not None:
        print(f"Evaluation | {scores_line(final)}")
    print(f"Run | {shown(results['run_dir'])}")
    if results["model_version"] is not None:
        print(f"Registered | version {results['model_version']} of the model")
    if interrupted:
        words = ["vibe-rl", "ppo-cartpole", "train", "--resume", "--run-dir"]
        print(f"Resume with | {shlex.join([*words, shown(results['run_dir'])])}")


def scores_line(scores: Mapping[str, Any]) -> str:
    """An evaluation in one line."""
    return (
        f"return {scores['avg_reward']:.2f} ± {scores['std_reward']:.2f} over "
        f"{len(scores['episode_rewards'])} episodes, {scores['success_rate']:.0%} at the target"
    )


def evaluate(words: Sequence[str]) -> None:
    """Plays greedy episodes, prints the returns and, if asked for, writes them down."""
    options = parse_words(EvaluateOptions, words, "vibe-rl ppo-cartpole evaluate")
    from vibe_rl.trainers.ppo_trainer.evaluating import play_agent_episodes  # noqa: PLC0415

    set_address(options.mlflow_uri)
    given = [x for x in (options.checkpoint, options.run_id, options.model_uri) if x is not None]
    if len(given) != 1:
        raise ConfigError("evaluate needs an agent: give --checkpoint, --run-id or --model-uri.")
    for name, least in (("episodes", 1), ("gif", 0)):
        if getattr(options, name) < least:
            raise ConfigError(f"--{name} {getattr(options, name)}: give at least {least}.")
    with agent_of(options)() as agent:
        scores = play_agent_episodes(
            agent,
            options.episodes,
            seed=options.seed,
            target_reward=options.target_reward,
            n_gifs=options.gif,
            video_dir=videos_of(options.checkpoint),
            stochastic=options.stochastic,
        )
    print(f"Evaluation | {scores_line(scores)}")
    print(f"Returns | from {scores['min_reward']:.0f} to {scores['max_reward']:.0f}")
    for path in scores["gifs"]:
        print(f"GIF | {path}")
    if options.out is not None:
        from vibe_rl.trainers.ppo_trainer.figures.illustrations import write_json  # noqa: PLC0415

        print(f"Report | {write_json(options.out, scores)}")


def videos_of(checkpoint: str | None) -> Path:
    """Where GIFs go: into the run, if it is one that is evaluated."""
    is_run = checkpoint is not None and Path(checkpoint, "logs").is_dir()
    return Path(str(checkpoint), "videos") if is_run else Path("videos")


def agent_of(options: EvaluateOptions) -> Callable[[], Any]:
    """What opens the agent that the options name."""
    from vibe_rl.trainers.ppo_trainer import evaluating  # noqa: PLC0415

    if options.checkpoint is not None:
        return partial(evaluating.saved_agent, options.checkpoint)
    if options.run_id is not None:
        return partial(evaluating.agent_of_run, options.run_id)
    return partial(evaluating.registered_agent, str(options.model_uri))


def sweep(words: Sequence[str]) -> None:
    """Trains every combination of some values with every seed."""
    if asks_help(words):
        print(SWEEP_HELP)
        return
    from vibe_rl.configs import parse_seeds  # noqa: PLC0415
    from vibe_rl.trainers.ppo_trainer.sweep import sweep_trainers as train_all  # noqa: PLC0415

    seeds, words = pop_option("--seeds", words)
    grid, words = pop_grid(words)
    known = pop_option("--track", words)[1]
    options = parse_words(TrainOptions, known, "vibe-rl ppo-cartpole sweep")
    refuse_of_single(options, words)
    set_address(options.mlflow_uri)
    arguments = arguments_of_trainer(options, words) | given_of(options, words, AGENTS)
    listed = parse_seeds(INCLUSIVE.sub(half_open, seeds or "0:5"))
    print_result(lambda: train_all(listed, grid, arguments=arguments), _print_group)


SWEEP_HELP = """usage: vibe-rl ppo-cartpole sweep [--seeds 0:5] [--grid NAME=VALUE,VALUE ...] ...

Trains every combination of the values with every seed, one after the other, into one directory with
a table, a heat map and, with --tracker mlflow, a run of MLflow that has them all.
Other options: vibe-rl ppo-cartpole train --help."""
INCLUSIVE = re.compile(r"(\d+)-(\d+)")
SINGLE = ("seed", "run_dir", "resume", "batch_size")


def half_open(seeds: re.Match[str]) -> str:
    """Seeds such as 0-4, the last included, as 0:5."""
    return f"{seeds[1]}:{int(seeds[2]) + 1}"


def refuse_of_single(options: TrainOptions, words: Sequence[str]) -> None:
    """Raises ConfigError for what is of one training."""
    for name in given_of(options, words, SINGLE):
        option = f"--{name.replace('_', '-')}"
        raise ConfigError(f"{option} is of a single training: leave it out of a sweep.")


def pop_grid(words: Sequence[str]) -> tuple[dict[str, list[Any]], list[str]]:
    """The values after each `--grid`, by their names, and the other words.

    Raises:
        ConfigError: one is not NAME=VALUE,VALUE.
    """
    grid, rest, of_grid = dict[str, list[Any]](), [], False
    for word in words:
        if word == "--grid" or word.startswith("--"):
            of_grid = word == "--grid"
            rest += [] if of_grid else [word]
        elif of_grid:
            name, equals, values = word.partition("=")
            if not (name and equals and values):
                raise ConfigError(f"--grid {word}: write NAME=VALUE,VALUE.")
            grid[name.replace("-", "_")] = [_value_of(text) for text in split_names(values)]
        else:
            rest.append(word)
    return grid, rest


def _value_of(text: str) -> Any:
    """A number, or a word."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)


def _print_group(group: "RunDir", rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints where a sweep's files are."""
    print(f"Sweep | {len(rows)} trainings | {shown(group.artifact_path('sweep.csv'))}")


def benchmark(words: Sequence[str]) -> None:
    """Measures how fast both modes train, and how long they compile."""

    def options(episodes: int = 300, out: str | None = None):
        """Steps per second of both modes, with whole episodes of 500 steps at most.

        Args:
            episodes: Of a training.
            out: A JSON file for the results.
        """
        return episodes, out

    episodes, out = parse_words(options, words, "vibe-rl ppo-cartpole benchmark")
    from vibe_rl.trainers.ppo_trainer.evaluating import measure_speed  # noqa: PLC0415
    from vibe_rl.trainers.ppo_trainer.figures.illustrations import write_json  # noqa: PLC0415

    rows = {mode: measure_speed(mode, episodes) for mode in ("episodic", "vectorized")}
    for mode, row in rows.items():
        print(
            f"{mode:10s} | {row['steps_per_second']:,.0f} steps/s | {row['episodes']} episodes in "
            f"{row['seconds']:.2f} s | first update, with compiling, {row['first_seconds']:.2f} s"
        )
    if out is not None:
        print(f"Report | {write_json(out, rows)}")
