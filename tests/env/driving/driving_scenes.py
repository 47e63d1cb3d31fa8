"""Banks for tests: turned and shifted ones, and how an actor fares in each scenario."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np


def moved(bank, angle, dx, dy):
    """The same scenarios, turned to the left about the origin and shifted."""
    c, s = np.cos(angle), np.sin(angle)

    def turned(xy):
        turned = np.stack([c * xy[..., 0] - s * xy[..., 1], s * xy[..., 0] + c * xy[..., 1]], -1)
        return turned.astype(np.float32)

    shift = np.array([dx, dy], np.float32)
    places = ("log_xy", "map_xy", "light_xy", "path_xy", "route_xy")
    changed = {name: turned(getattr(bank, name)) + shift for name in places}
    changed |= {name: turned(getattr(bank, name)) for name in ("log_vel", "map_dir")}
    yaw = (bank.log_yaw + angle + np.pi) % (2 * np.pi) - np.pi
    return bank._replace(
        **changed,
        log_yaw=yaw.astype(np.float32),
        route_yaw=(bank.route_yaw + angle).astype(np.float32),
    )


@partial(jax.jit, static_argnums=(0, 1))
def drive(env, actor, params, actions=None):
    """Steps `[80, ...]` of every scenario `[S]`, from an actor, or from actions `[80, ...]`."""

    def one(index):
        pinned = params._replace(scenario=index)
        obs, state = env.reset(jax.random.key(0), pinned)

        def body(carry, action):
            obs, state = carry
            if actor is not None:
                action = actor(obs, state, pinned, jax.random.key(0))
            step = env.step(jax.random.key(0), state, action, pinned)
            return (step.obs, step.state), step

        return jax.lax.scan(body, (obs, state), actions, length=80)[1]

    count = len(params.scenarios.scenario_uid)
    return jax.vmap(one)(jnp.arange(count, dtype=jnp.int32))
