"""What the scoreboard shows: tasks, budgets, seeds, and the best that others have published.

The seeds of a row chose no setting: those that did are below 100 or from 1000 on.
"""

from dataclasses import replace
from typing import NamedTuple

from vibe_rl.configs import PRESETS
from vibe_rl.configs.train_config import TrainConfig


class Published(NamedTuple):
    """What others reach with this budget."""

    figure: str
    by: str  # who, how it was measured, and where it stands


class Row(NamedTuple):
    """One task, with one algorithm and one budget."""

    table: str  # that it stands in
    config: TrainConfig
    seeds: tuple[int, ...]
    published: Published | None = None

    @property
    def name(self) -> str:
        """What the command line calls it, such as `ppo/CartPole-v1/100000`."""
        algorithm = type(self.config.algo).__name__.removesuffix("Config").lower()
        return f"{algorithm}/{self.config.env_id}/{self.config.runner.total_timesteps}"


def row(table, preset, seeds, published=None, env_id=None, steps=None, most=1000):
    """A preset on an environment for a budget; evaluations end after `most` steps."""
    config = PRESETS[preset][1]
    steps = int(steps or config.runner.total_timesteps)
    runner = replace(
        config.runner,
        total_timesteps=steps,
        eval_every=0,
        eval_episodes=EPISODES,
        eval_max_steps=most,
        log_interval=max(steps // CURVE, 1),
        log_episodes=False,
        progress_bar=False,
    )
    config = replace(config, env_id=env_id or config.env_id, runner=runner)
    return Row(table, config, tuple(seeds), published)


EPISODES, CURVE = 128, 50
"""Greedy episodes after a training; points of its curve."""
THIRTY, TEN, THREE = range(100, 130), range(100, 110), range(100, 103)

ZOO = "RL Baselines3 Zoo, one run, deterministic, mean of 150,000 steps"
BLINES = "gymnax-blines, PPO at 10M steps, one figure without interval"
PUREJAX = "PureJaxRL, PPO at 10M steps, one figure without interval"

CLASSIC = [
    row("classic", "cartpole_ppo", THIRTY, Published("500 at 100k", ZOO)),
    row("classic", "cartpole_dqn", THIRTY, Published("500 at 50k", ZOO)),
    row("classic", "acrobot_dqn", THIRTY, Published("-69.1 (QR-DQN), -76.6 (DQN) at 100k", ZOO)),
    row("classic", "mountaincar_dqn", THIRTY, Published("-100.8 at 120k", ZOO)),
    row("classic", "pendulum_ppo", THIRTY, Published("-172.2 at 100k", ZOO)),
    row("classic", "pendulum_sac", THIRTY, Published("-151.3 (TQC), -157.0 (SAC) at 20k", ZOO)),
    row("classic", "mountaincar_continuous_sac", THIRTY, Published("94.7 at 50k", ZOO)),
]

GAMES = ("Asterix", "Breakout", "Freeway", "Seaquest", "SpaceInvaders")
CAPS = {"Freeway": 2500}
"""Steps of an episode in gymnax where they are not 1,000."""
AT_10M = {
    "Asterix": Published("15", BLINES),
    "Breakout": Published("28; 40", f"{BLINES}; {PUREJAX}"),
    "Freeway": Published("58", BLINES),
    "SpaceInvaders": Published("131", BLINES),
}


def minatar(preset, game, seeds, steps, published=None):
    """A game of gymnax, whose episodes are capped."""
    most = CAPS.get(game, 1000)
    return row("minatar", preset, seeds, published, f"gymnax:{game}-MinAtar", steps, most)


def uncapped(preset, game, seeds, steps):
    """The same game of pgx, whose episodes are not; evaluations end after 10,000 steps."""
    name = "space_invaders" if game == "SpaceInvaders" else game.lower()
    return row("minatar", preset, seeds, None, f"pgx:minatar-{name}", steps, 10_000)


MINATAR = [
    *(minatar("minatar_ppo", game, TEN, 1e6) for game in GAMES),
    *(minatar("minatar_ppo", game, THREE, 1e7, AT_10M.get(game)) for game in GAMES),
    *(minatar("minatar_dqn", game, TEN, 1e6) for game in GAMES),
    *(uncapped("minatar_ppo", game, TEN, 1e6) for game in GAMES),
    *(uncapped("minatar_ppo", game, THREE, 1e7) for game in GAMES),
]

SIMBA = "SimbaV2's raw files, MuJoCo v4, {}, IQM"
SAC_AT_1M = Published("11,431 [10,794, 12,159] at 1M", SIMBA.format("SAC, 10 seeds"))
GYMNASIUM = [
    row("gymnasium", "lunarlander_ppo", TEN, Published("242 at 1M (v2)", ZOO)),
    row("gymnasium", "lunarlander_dqn", TEN, Published("265.9 at 300k", "SLM-Lab, one figure")),
    row("gymnasium", "halfcheetah_sac", THREE, SAC_AT_1M, steps=3e5),
    row("gymnasium", "halfcheetah_sac", THREE, SAC_AT_1M),
    row(
        "gymnasium",
        "hopper_ppo",
        THREE,
        Published("3,573 [2,954, 3,615] at 1M", SIMBA.format("PPO, 5 seeds")),
    ),
]

ROWS = {row.name: row for row in (*CLASSIC, *MINATAR, *GYMNASIUM)}
