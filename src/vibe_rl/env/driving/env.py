"""Driving as an environment: a vehicle among others in scenes that were recorded or generated.

In the tradition of Waymax (2023) and V-Max (2025). The order of a step: the ego moves; the others
move, by their log or by themselves; what happened is measured once; reward, end and observation
follow from that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt8

from vibe_rl.env.base import Step
from vibe_rl.env.driving import actors, observe, reward, sensing
from vibe_rl.env.driving.drawing import ahead_upwards, scene_from_above
from vibe_rl.env.driving.measures.aggregate import Totals, added, episode_metrics, none_yet
from vibe_rl.env.driving.measures.comfort import FRAMES
from vibe_rl.env.driving.measures.metrics import Metrics, measured_step
from vibe_rl.env.driving.motion import dynamics, reactive
from vibe_rl.env.driving.motion.dynamics import Motion
from vibe_rl.env.driving.motion.noise import noisy_history
from vibe_rl.env.driving.motion.routes import RoutePlace, place
from vibe_rl.env.driving.params import DrivingParams, default_params
from vibe_rl.env.driving.scenarios.scenario import FIRST_FRAME, chosen
from vibe_rl.env.driving.scenarios.scene import Scene, Users, logged, logged_ego
from vibe_rl.errors import ConfigError, Typed, unknown
from vibe_rl.spaces import Box, Discrete, Flat, Space
from vibe_rl.types import Key, PyTree

CHOICES = {
    "dynamics": ("bicycle", "delta_local", "delta_global"),
    "steering": ("curvature", "lateral"),
    "traffic": ("replay", "idm", "mixed"),
    "metrics": ("vmax", "nuplan"),
    "offroad": ("scenario", "corridor", "edge", "both"),
}
"""What a field of `Driving` may be."""


class DrivingState(NamedTuple):
    """Where all is; the scenario itself stays in the params."""

    scenario: Array  # int32, which of the bank
    frame: Array  # int32, of the log
    history: Motion  # float32 [10] each, of the ego, the newest first
    place: RoutePlace  # of the ego
    totals: Totals
    traffic: PyTree  # `reactive.Others`, () where all follow their logs
    chance: PyTree = ()  # uint32, what is by chance of the view; () where nothing is


@dataclass(frozen=True)
class Driving(Typed):
    """Drive where the log leads: hit nobody, stay on the road, stop at red lights.

    Actions are float32 from -1 to 1: acceleration and steering `[2]`, or displacements and turn
    `[3]`; with `bins`, one whole number. Observations are a `Flat` of parts, see `observe`. An
    episode has as many steps as the log has frames after the eleventh (80 of 91). The reward is the
    sum of the terms of `reward`, each in `info["metrics"]`; `info["episode"]` says what the episode
    adds up to, `success` above all.
    """

    dynamics: str = "bicycle"  # or "delta_local", "delta_global"
    steering: str = "curvature"  # or "lateral": 5 m/s2 to the side at most
    bins: tuple[int, ...] = ()  # for each entry of the action; none: actions are continuous
    observation: Any = "vec_small"  # or "vec", "gt", or fields of `observe.View`
    traffic: str = "replay"  # or "idm", "mixed": who reacts, of those who can
    metrics: str = "vmax"  # or "nuplan": bounds of comfort, horizon, wrong direction
    offroad: str = "scenario"  # the test that it asks for, or "corridor", "edge", "both"
    noisy_init: bool = False  # begin with a second of a random action

    def __post_init__(self):
        super().__post_init__()
        for name, options in CHOICES.items():
            if getattr(self, name) not in options:
                raise unknown(f"{name} of Driving", getattr(self, name), options)
        entries = 2 if self.dynamics == "bicycle" else 3
        object.__setattr__(self, "observation", observe.view_of(self.observation))
        if self.bins and (len(self.bins) != entries or min(self.bins) < 1):
            raise ConfigError(
                f"bins {self.bins} of Driving: give {entries} numbers of at least 1, or none."
            )

    def default_params(self) -> DrivingParams:
        """Built-in scenarios, and the reward `progress`."""
        return default_params()

    def observation_space(self, params: PyTree) -> Flat:
        """See `observe`."""
        return observe.space(self.observation)

    def action_space(self, params: PyTree) -> Space:
        """See the class."""
        if self.bins:
            return Discrete(int(np.prod(self.bins)))
        return Box(-1.0, 1.0, (2 if self.dynamics == "bicycle" else 3,))

    def actors(self) -> dict[str, Callable[..., Array]]:
        """Scripted drivers; see `actors`."""
        return actors.actors_by_name(self)

    def draw(
        self, state: DrivingState, params: DrivingParams, pov: bool = False
    ) -> UInt8[np.ndarray, "h w 3"]:
        """The scenario from above, around the ego, or in its own frame; see `drawing`."""
        scene = Scene(params.scenarios, params.tables, state.scenario)
        users = jax.tree.map(np.asarray, self.users(scene, state))
        scenario = chosen(jax.tree.map(np.asarray, params.scenarios), int(state.scenario))
        seen = scenario, _latest(state.history), users
        return scene_from_above(*(ahead_upwards(*seen) if pov else seen), int(state.frame), pov)

    def reset(self, key: Key, params: DrivingParams) -> tuple[Array, DrivingState]:
        """A scenario's eleventh frame: any scenario's, or the one that is pinned."""
        draw_key, noise_key, *more = jax.random.split(key, 3 if self.observation.by_chance else 2)
        count = len(params.scenarios.scenario_uid)
        drawn = jax.random.randint(draw_key, (), 0, count, jnp.int32)
        index = jnp.where(params.scenario >= 0, params.scenario, drawn)
        scene = Scene(params.scenarios, params.tables, index)
        if self.noisy_init:
            history = noisy_history(scene, noise_key, FRAMES, params.offroad_tolerance)
        else:
            history = logged_ego(scene, FIRST_FRAME - np.arange(FRAMES, dtype=np.int32))
        state = self.begin(scene, history)._replace(chance=self.chance_of(*more))
        return self.obs_of(state, params), state

    def chance_of(self, *key: Key) -> PyTree:
        """What a view by chance is made from in one state, if it is one.

        No key, for an observation may be asked for twice.
        """
        return jax.random.bits(key[0], (), jnp.uint32) if self.observation.by_chance else ()

    def begin(self, scene: Scene, history: Motion) -> DrivingState:
        """The state at the eleventh frame of the log, after a past of the ego."""
        here, frames = place(scene, _latest(history)), self.observation.frames
        replay = self.traffic == "replay"
        traffic = () if replay else reactive.begin_traffic(scene, FIRST_FRAME, frames)
        frame = jnp.int32(FIRST_FRAME)
        return DrivingState(scene.index, frame, history, here, none_yet(), traffic)

    def step(self, key: Key, state: DrivingState, action: Array, params: DrivingParams) -> Step:
        """A tenth of a second."""
        scene = Scene(params.scenarios, params.tables, state.scenario)
        frame = state.frame + 1
        ego = self.move(_latest(state.history), action)
        history = jax.tree.map(
            lambda x, row: jnp.concatenate([x[None], row[:-1]]), ego, state.history
        )
        here = place(scene, ego)
        traffic = state.traffic
        if self.traffic != "replay":
            before = _latest(state.history)
            traffic = reactive.step_traffic(scene, traffic, before, frame, self.traffic)
        after = DrivingState(state.scenario, frame, history, here, state.totals, traffic)
        after = after._replace(chance=self.chance_of(key))
        metrics = measured_step(
            scene,
            frame,
            history,
            self.users(scene, after),
            (state.place, here),
            params.offroad_tolerance,
            (self.offroad, self.metrics),
        )
        after = after._replace(totals=added(state.totals, metrics))
        rewards = reward.weighted_terms(metrics, params)
        terminated = ends(metrics, params)
        truncated = ~terminated & (frame + 1 >= scene.frames)
        return Step(
            obs=self.obs_of(after, params),
            state=after,
            reward=sum(rewards.values(), jnp.float32(0)),
            terminated=terminated,
            truncated=truncated,
            info={
                "metrics": _step_metrics(metrics, rewards),
                "episode": self.episode(scene, after, metrics, truncated, params),
            },
        )

    def users(self, scene: Scene, state: DrivingState) -> Users:
        """Who is where in a state; the ego's slot is the log's."""
        if self.traffic == "replay":
            return logged(scene, state.frame)
        return Users(*(row[0] for row in state.traffic.past))

    def move(self, ego: Motion, action: Array) -> Motion:
        """The ego after an action of the action space."""
        if self.bins:
            action = dynamics.bin_values(action, self.bins)
        if self.dynamics == "bicycle":
            return dynamics.bicycle(ego, action, self.steering)
        local = self.dynamics == "delta_local"
        return (dynamics.delta_local if local else dynamics.delta_global)(ego, action)

    def episode(
        self,
        scene: Scene,
        state: DrivingState,
        metrics: Metrics,
        truncated: Array,
        params: DrivingParams,
    ) -> dict[str, Array]:
        """What is told of an episode that ends with this step."""
        told = episode_metrics(state.totals, metrics, self.metrics)
        enders = {
            "ended_by_overlap": params.terminate_overlap & (metrics.overlap > 0),
            "ended_by_offroad": params.terminate_offroad & (metrics.offroad > 0),
            "ended_by_red_light": params.terminate_red_light & (metrics.run_red_light > 0),
            "ended_by_time": truncated,
        }
        last = {
            "accuracy": ~ends(metrics, params),
            **enders,
            "scenario": scene.index,
            "family": scene.of("family"),
        }
        return told | {name: jnp.asarray(x, jnp.float32) for name, x in last.items()}

    def obs_of(self, state: DrivingState, params: DrivingParams) -> Array:
        """What the driver sees of a state."""
        view: observe.View = self.observation
        scene = Scene(params.scenarios, params.tables, state.scenario)
        frame = observe.frame_of(_latest(state.history), view)
        parts = {"ego": observe.of_ego(scene, frame, state.history, view)}
        if view.kind == "gt":
            parts["path"] = observe.of_log(scene, frame, state.frame, view)
            return observe.space(view).join(parts)
        parts |= {
            "agents": self.agents_seen(scene, frame, state, view),
            "map": observe.of_map(scene, frame, view),
            "lights": observe.of_lights(scene, frame, state.frame, view),
            "path": observe.of_path(scene, frame, state.place, view),
        }
        return observe.space(view).join(parts)

    def agents_seen(
        self, scene: Scene, frame: observe.Frame, state: DrivingState, view: observe.View
    ) -> Array:
        """The nearest others over the last frames."""
        now, drop_key, noise_key = self.users(scene, state), None, None
        if view.by_chance:
            drop_key, noise_key = jax.random.split(jax.random.key(state.chance))
        seen = observe.who_is_seen(scene, frame, now, view, drop_key)
        chosen, found = observe.nearest_things(frame, (now.x, now.y), seen, view.agents)
        if self.traffic == "replay":
            frames = state.frame - np.arange(view.frames, dtype=np.int32)
            past = logged(scene, frames[None, :], chosen[:, None])
        else:
            past = Users(*(rows[:, chosen].T for rows in state.traffic.past))
        past = past._replace(valid=past.valid & found[:, None])
        if noise_key is not None and view.noise > 0:
            past = sensing.askew(noise_key, past, view.noise)
        size = scene.of("size", chosen)[:, None, :2]
        return observe.of_users(frame, past, jnp.broadcast_to(size, (*past.x.shape, 2)))


def _latest(history: Motion) -> Motion:
    """The ego now."""
    return Motion(*(row[0] for row in history))


def ends(metrics: Metrics, params: DrivingParams) -> Array:
    """Whether the episode is over, other than by its time."""
    return (
        (params.terminate_overlap & (metrics.overlap > 0))
        | (params.terminate_offroad & (metrics.offroad > 0))
        | (params.terminate_red_light & (metrics.run_red_light > 0))
    )


def _step_metrics(metrics: Metrics, rewards: dict[str, Array]) -> dict[str, Array]:
    """All that is measured, and the terms of the reward."""
    measured = {f"step_{name}": value for name, value in metrics._asdict().items()}
    return measured | {f"reward_{name}": value for name, value in rewards.items()}
