"""The program `vibe-rl`: its commands, its errors and its exit status."""

import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from vibe_rl.cli.shared.options import with_trackers
from vibe_rl.cli.shared.streams import forgiving_output, shown_notices
from vibe_rl.errors import ConfigError, NonFiniteLossError, unknown

COMMANDS = {
    "train": "Train a preset: vibe-rl train cartpole_ppo --algo.lr 1e-3, or resume: --resume RUN.",
    "tune": "Measure sizes on this device: vibe-rl tune cartpole_ppo [--budget 120].",
    "sweep": "Rank settings: vibe-rl sweep cartpole_ppo --algo.lr 1e-4,3e-4 [--halving 2].",
    "evolve": "Evolve hyperparameters: vibe-rl evolve cartpole_ppo --algo.lr 1e-4:1e-2.",
    "search": "Search hyperparameters: vibe-rl search cartpole_ppo --algo.lr 1e-4:1e-2.",
    "evaluate": "Evaluate a saved agent: vibe-rl evaluate RUN [--best] [--sample] [--csv FILE].",
    "runs": "List runs with state, step, best evaluation, age and size: vibe-rl runs [DIR].",
    "watch": "Watch an agent play: vibe-rl watch RUN [--episodes 3] [--speed 10] [--best].",
    "record": "Film an agent: vibe-rl record RUN [--episodes 20 --best --worst] [--mp4].",
    "inspect": "Print what an agent thinks, step by step: vibe-rl inspect RUN [--steps 10].",
    "play": "Play yourself: vibe-rl play CartPole-v1 [--seed 0].",
    "plot": "Draw reward curves: vibe-rl plot RUN [RUN ...] [--output FILE].",
    "compare": "Compare methods by all their seeds: vibe-rl compare A B [C ...] [--best].",
    "export": "Write a saved policy for use elsewhere: vibe-rl export RUN [--best] [--to DIR].",
    "publish": "Register a saved policy with MLflow: vibe-rl publish RUN [--best] [--name NAME].",
    "track": "Send finished runs to a tracker: vibe-rl track RUN [RUN ...] --to mlflow.",
    "ppo-cartpole": "Train PPO on CartPole by episodes, until it converges: see its --help.",
    "train-hackmatrix": "Train PPO on HackMatrix with seed 003's options: see its --help.",
    "train-sb3": "Train sb3-contrib's MaskablePPO on HackMatrix, slowly: see its --help.",
    "driving": "Train or evaluate drivers of scenarios, by Hydra: vibe-rl driving train seed=1.",
    "report": "Write a page about runs: vibe-rl report RUN [RUN ...] [--out FILE].",
    "hackmatrix-server": "Play HackMatrix for another program, by lines of JSON.",
    "scenarios": "Generate, import, validate and show driving scenarios: see its --help.",
    "envs": "List the environments that have a name.",
}
"""What each command does; its function is `vibe_rl.cli.NAME.NAME`, imported when it runs."""
ROOMS = {
    **dict.fromkeys(("train-hackmatrix", "train-sb3", "hackmatrix-server"), "hackmatrix"),
    **dict.fromkeys(("driving", "scenarios"), "driving"),
    "ppo-cartpole": "ppo_cartpole",
}
"""Where the module of a command is, if not in `vibe_rl.cli` itself."""
NOT_OF_PRESETS = (
    *("track", "ppo-cartpole", "train-hackmatrix", "train-sb3", "hackmatrix-server"),
    *("scenarios", "driving"),
)
"""Commands for which `--track`, if they know it, is no field of a config."""


def usage() -> str:
    """The usage, with a line for each command."""
    lines = [f"  {name:19s}{does}" for name, does in COMMANDS.items()]
    return "\n".join(["usage: vibe-rl COMMAND ...", "", *lines])


def command(name: str) -> Callable[[Sequence[str]], None]:
    """The function of a command; ConfigError if there is none of this name."""
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    function = name.replace("-", "_")
    module = ".".join(["vibe_rl.cli", *([ROOMS[name]] if name in ROOMS else []), function])
    return getattr(import_module(module), function)


def end_at_ctrl_c() -> None:
    """Leaves Ctrl-C to the system: it ends the process at once, even while it compiles.

    While a run trains, it handles the first one itself, to end with a checkpoint.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@forgiving_output()
@shown_notices()
def main(args: Sequence[str] | None = None) -> None:
    """Runs one command; bad input ends it with one sentence and exit status 2.

    Training that a signal ends has the exit status of a program that a signal ends: 128 more than
    the signal's number, so that a queue can tell it from a complete one.
    """
    if args is None:
        end_at_ctrl_c()
    words = list(sys.argv[1:] if args is None else args)
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return
    try:
        own = words[0] in NOT_OF_PRESETS
        command(words[0])(words[1:] if own else with_trackers(words[1:]))
    except (ConfigError, NonFiniteLossError) as error:
        print(f"vibe-rl: {error}", file=sys.stderr)
        raise SystemExit(2 if isinstance(error, ConfigError) else 1) from None
    except KeyboardInterrupt as error:
        raise SystemExit(128 + getattr(error, "signal", signal.SIGINT)) from None
