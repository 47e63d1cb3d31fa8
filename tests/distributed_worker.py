"""One of two processes that train together, in which something goes wrong: CASE PORT INDEX."""

import sys

import jax
from orbax.checkpoint import Checkpointer
from orbax.checkpoint._src.path import atomicity

from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.env import AutoResetWrapper, make
from vibe_rl.runner import RunnerConfig, train_ppo
from vibe_rl.system.cluster import Cluster, connect

HERE = int(sys.argv[3])
CONFIG = {"eval_episodes": 0, "progress_bar": False, "checkpoint_dir": "checkpoints"}
CONFIG |= {"checkpoint_interval": 256, "checkpoint_share": 1.0}


def train(total=1024, callback=None, **more):
    """PPO with eight envs on all devices."""
    env, env_params = make("CartPole-v1")
    runner_config = RunnerConfig(total_timesteps=total, **CONFIG, **more)
    ppo_config = PPOConfig(num_envs=8, n_steps=16, hidden_sizes=(8,), schedule_steps=1024.0)
    configs = {"ppo_config": ppo_config, "runner_config": runner_config}
    train_ppo(AutoResetWrapper(env), env_params, **configs, callback=callback)


def failing_callback():
    """Process 1 alone fails."""

    def fails(step, agent_state, metrics):
        if step > 512 and HERE == 1:
            raise OSError("the disk of process 1 is full")

    train(10**8, fails)


def lonely_callback():
    """Process 0 alone has a callback."""
    train(callback=None if HERE else print)


def failing_write():
    """Process 0 cannot create the folder of the third checkpoint, and process 1 waits for it."""
    create, calls = atomicity.AtomicRenameTemporaryPath.create, []

    async def fails(self, *args, **how):
        calls.append(self)
        if sum("step_768" in str(path.get_final()) for path in calls):
            raise OSError(28, "No space left on device")
        return await create(self, *args, **how)

    atomicity.AtomicRenameTemporaryPath.create = fails
    train()


def failing_read():
    """Process 1 cannot read the arrays of the last checkpoint."""
    train()
    restore = Checkpointer.restore

    def fails(self, path, args):
        if HERE == 1 and path.name == "step_1024" and "state" in list(args.keys()):
            raise OSError(5, "Input/output error")
        return restore(self, path, args)

    Checkpointer.restore = fails
    train(1280, resume=True)


if __name__ == "__main__":
    connect(Cluster(f"127.0.0.1:{sys.argv[2]}", 2, HERE), timeout=30)
    print("devices", jax.device_count())
    globals()[sys.argv[1]]()
