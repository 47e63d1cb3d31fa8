"""What is run and by whom: workloads, and the contestants that know each algorithm.

A workload's settings are a config of vibe_rl in plain values, which `ours.py` reads as it is.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

PPO = {
    "hidden_sizes": [64, 64],  # tanh, actor and critic apart
    "n_steps": 128,
    "n_epochs": 4,
    "n_minibatches": 4,
    "lr": 2.5e-4,
    "max_grad_norm": 0.5,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "clip_eps": 0.2,
    "ent_coef": 0.01,
    "vf_coef": 0.5,
}
MINATAR = PPO | {
    "hidden_sizes": [64],  # ReLU
    "activation": "relu",
    "conv_layers": [[32, 4, 3]],
    "shared_backbone": True,
    "encoder": "auto",
    "n_minibatches": 8,
    "lr": 5e-3,
}
FLAT = MINATAR | {"hidden_sizes": [64, 64], "shared_backbone": False, "encoder": "mlp"}
DQN = {
    "hidden_sizes": [120, 84],  # ReLU
    "batch_size": 128,
    "lr": 2.5e-4,
    "max_grad_norm": 10.0,
    "gamma": 0.99,
    "target_update_freq": 500,  # updates
    "tau": 1.0,
    "epsilon_start": 1.0,
    "epsilon_end": 0.05,
    "epsilon_decay_steps": 25_000,  # env steps
    "double": False,
    "loss": "squared",
}
SAC = {
    "hidden_sizes": [256, 256],  # ReLU
    "batch_size": 256,
    "actor_lr": 3e-4,
    "critic_lr": 3e-4,  # rejax has one learning rate for all
    "alpha_lr": 3e-4,
    "gamma": 0.99,
    "tau": 0.005,
}


def ppo(
    num_envs: int, total_timesteps: int, algo: Any = PPO, env_id: str = "CartPole-v1"
) -> dict[str, Any]:
    return {
        "algorithm": "ppo",
        "env_id": env_id,
        "algo": algo | {"num_envs": num_envs},
        "runner": {"total_timesteps": total_timesteps},
    }


def dqn(num_envs: int) -> dict[str, Any]:
    """One update per step of all envs."""
    return {
        "algorithm": "dqn",
        "env_id": "CartPole-v1",
        "algo": DQN | {"num_envs": num_envs, "replay_ratio": 1 / num_envs},
        "runner": {"total_timesteps": 50_000, "buffer_size": 10_000, "warmup_steps": 1_000},
    }


SAC_1 = {
    "algorithm": "sac",
    "env_id": "Pendulum-v1",
    "algo": SAC | {"num_envs": 1, "replay_ratio": 1.0},
    "runner": {"total_timesteps": 20_000, "buffer_size": 20_000, "warmup_steps": 1_000},
}
BREAKOUT = "gymnax:Breakout-MinAtar"
WORKLOADS = {
    "ppo-4": ppo(4, 500_000),
    "ppo-64": ppo(64, 500_000),
    "ppo-2048": ppo(2048, 524_288),  # two updates
    "minatar": ppo(64, 524_288, MINATAR, BREAKOUT),
    "minatar-flat": ppo(64, 524_288, FLAT, BREAKOUT),
    "dqn-1": dqn(1),
    "dqn-10": dqn(10),
    "sac-1": SAC_1,
}


class Contestant(NamedTuple):
    """A script, and how it is to be run."""

    script: str
    python: str = "own"  # own, peers or sb3: an option of the driver names the interpreter
    arguments: tuple[str, ...] = ()
    runner: Mapping[str, Any] = MappingProxyType({})  # changes of the settings
    env_prefix: str = ""  # of the environment's name
    env_kwargs: Mapping[str, Any] = MappingProxyType({})
    most_updates: int | None = None  # of a run, where the contestant is slow


SLOW = 5_000
HOST_RING = Contestant("ours.py", runner={"replay_on": "host"})
GYMNASIUM = Contestant("ours.py", env_prefix="gymnasium:", most_updates=SLOW)
SYNC = GYMNASIUM._replace(env_kwargs={"parallel": "sync"})
PPO_LOOP = Contestant("gymnasium_loop_ppo.py", most_updates=SLOW)
DQN_LOOP = Contestant("gymnasium_loop_dqn.py", most_updates=SLOW)
REJAX = Contestant("peers/rejax_worker.py", "peers")
SBX = Contestant("peers/sb3_worker.py", "sb3", ("sbx",), most_updates=SLOW)
SB3 = Contestant("peers/sb3_worker.py", "sb3", ("sb3",), most_updates=SLOW)
CONTESTANTS = {
    "ppo": {
        "ours": Contestant("ours.py"),
        "uninterrupted": Contestant("uninterrupted_ppo.py"),
        "single_file": Contestant("single_file_ppo.py"),
        "ours_gymnasium": GYMNASIUM,
        "ours_gymnasium_sync": SYNC,
        "gymnasium_loop": PPO_LOOP,
        "gymnasium_loop_sync": PPO_LOOP._replace(arguments=("sync",)),
        "rejax": REJAX,
    },
    "dqn": {
        "ours": Contestant("ours.py"),
        "ours_host_ring": HOST_RING,
        "ours_gymnasium": GYMNASIUM,
        "ours_gymnasium_sync": SYNC,
        "gymnasium_loop": DQN_LOOP,
        "gymnasium_loop_sync": DQN_LOOP._replace(arguments=("sync",)),
        "single_file": Contestant("single_file_dqn.py"),
        "python_loop": Contestant("python_loop_dqn.py", most_updates=SLOW),
        "rejax": REJAX,
        "sbx": SBX,
        "sb3": SB3,
    },
    "sac": {
        "ours": Contestant("ours.py"),
        "ours_host_ring": HOST_RING,
        "ours_gymnasium": GYMNASIUM,
        "single_file": Contestant("single_file_sac.py"),
        "matmul_bound": Contestant("matmul_bound_sac.py"),
        "rejax": REJAX,
        "sbx": SBX,
        "sb3": SB3,
    },
}
NAMES = tuple(dict.fromkeys(name for known in CONTESTANTS.values() for name in known))


def settings_of(workload: str, contestant: Contestant, steps: int | None) -> dict[str, Any]:
    """The workload for this contestant, in `steps` env steps or as many as it can bear."""
    settings = WORKLOADS[workload]
    steps = steps or settings["runner"]["total_timesteps"]
    if contestant.most_updates:
        steps = min(steps, contestant.most_updates * settings["algo"]["num_envs"])
    settings = shortened(settings, steps)
    changes = {
        "env_id": contestant.env_prefix + settings["env_id"],
        "env_kwargs": dict(contestant.env_kwargs),
        "runner": settings["runner"] | contestant.runner,
    }
    return settings | changes


def shortened(settings: dict[str, Any], steps: int) -> dict[str, Any]:
    """The same mix of random steps, steps without and steps with an update, in `steps` steps."""
    algo, runner = dict(settings["algo"]), dict(settings["runner"])
    share = steps / runner["total_timesteps"]
    runner["total_timesteps"] = steps
    if "warmup_steps" in runner:  # one batch at least
        runner["warmup_steps"] = max(round(share * runner["warmup_steps"]), algo["batch_size"])
    if "epsilon_decay_steps" in algo:
        algo["epsilon_decay_steps"] = round(share * algo["epsilon_decay_steps"])
    return settings | {"algo": algo, "runner": runner}
