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


def drive(env, actor, params, actions=None, among=None):
    """Steps `[80, ...]` of every scenario `[S]`, from an actor, or from actions `[80, ...]`.

    Args:
        env: of Driving.
        actor: itself or its name, None for the actions.
        params: of the env.
        actions: zeros if they are not given.
        among: names of actors; those of equal tuples share one program. The actor's own alone if
            it is not given.
    """
    among = among or ((actor,) if actor else ())
    if actions is None:
        one = jax.eval_shape(env.action_space(params).sample, jax.random.key(0))
        actions = np.zeros((80, *one.shape), one.dtype)
    which = np.int32(among.index(actor) if actor else len(among))
    named = env.actors()
    chosen = tuple(named.get(name, name) for name in among)
    return _driven(env, chosen, params, actions, which)


@partial(jax.jit, static_argnums=(0, 1))
def _driven(env, actors, params, actions, which):
    key = jax.random.key(0)

    def one(index):
        pinned = params._replace(scenario=index)

        def body(carry, action):
            obs, state = carry
            chosen = [partial(actor, obs, state, pinned, key) for actor in actors]
            action = jax.lax.switch(which, [*chosen, lambda: action])
            step = env.step(key, state, action, pinned)
            return (step.obs, step.state), step

        return jax.lax.scan(body, env.reset(key, pinned), actions)[1]

    count = len(params.scenarios.scenario_uid)
    return jax.vmap(one)(jnp.arange(count, dtype=jnp.int32))
