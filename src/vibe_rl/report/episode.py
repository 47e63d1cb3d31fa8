"""A greedy episode of a saved agent as moving pictures inside a page."""

import base64
import io
import tempfile
from pathlib import Path
from typing import Any

import jax

from vibe_rl.env.pictures.drawing import check_draws
from vibe_rl.errors import ConfigError, reason
from vibe_rl.experiment.single import load_run
from vibe_rl.extras import require
from vibe_rl.report.html import Html, format_number, note, tag
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.runner.recording import EpisodeRecording, frames, record, write_gif
from vibe_rl.runner.run import Run
from vibe_rl.runner.streams import evaluation_key
from vibe_rl.system.programs import enable_compilation_cache
from vibe_rl.types import PyTree

MOST_FRAMES, MOST_BYTES = 240, 1_500_000
MOST_STEPS = 2_000
"""Of an episode that is shown."""
FPS, FASTEST = 50, 25
"""Env steps in a second where all are shown, and pictures where they are not."""


def episode(run_dir: RunDir) -> Html:
    """An episode of the best saved agent, or of the latest, or the sentence why there is none."""
    try:
        run, agent_state, notes, which = _saved(run_dir)
        check_draws(run.env)
        tape = _record(run, agent_state, notes)
        moving, still = _pictures(tape, run)
    except ConfigError as error:
        return note(f"No episode: {error}")
    except Exception as error:  # whatever an environment of the user's may raise
        return note(f"No episode: {type(error).__name__}: {reason(error)}")
    return _figure(tape, moving, still, f"{which} checkpoint, step {_step(run, notes):,}")


def _saved(run_dir: RunDir) -> tuple[Run, PyTree, Any, str]:
    if run_dir.best_checkpoint is not None:
        return *load_run(run_dir, best=True), "best"
    return *load_run(run_dir), "latest"


def _step(run: Run, notes: Any) -> int:
    return notes["update"] * run.steps_per_update


def _record(run: Run, agent_state: PyTree, notes: Any) -> EpisodeRecording:
    """The first episode of the evaluation that belongs to the checkpoint."""
    enable_compilation_cache()
    episodes = max(run.n_eval_episodes, 1)
    key = jax.random.split(evaluation_key(notes["seed"], notes["update"]), episodes)[0]
    max_steps = min(run.config.eval_max_steps, MOST_STEPS)
    with jax.default_matmul_precision(run.config.matmul_precision):
        env_params = run.params_of_episode(0)
        return record(run.algorithm, agent_state, run.env, env_params, key, max_steps)


def _pictures(tape: EpisodeRecording, run: Run) -> tuple[bytes, bytes]:
    """The episode as a GIF that is small enough, and its first picture as a PNG."""
    stride = -(-tape.length // MOST_FRAMES)
    while True:
        gif, png = _encoded(tape, run, stride)
        if len(gif) <= MOST_BYTES:
            return gif, png
        if stride >= tape.length:
            raise ConfigError(
                f"a picture of {type(run.env).__name__} alone takes {len(gif):,} bytes: draw it "
                "smaller."
            )
        stride *= 2


def _encoded(tape: EpisodeRecording, run: Run, stride: int) -> tuple[bytes, bytes]:
    """With every `stride`-th state, and the last."""
    n_states = len(jax.tree.leaves(tape.states)[0])
    kept = sorted({*range(0, n_states, stride), n_states - 1})
    thinned = tape._replace(states=jax.tree.map(lambda x: x[kept], tape.states))
    pictures = list(frames(thinned, run.env, run.params_of_episode(0)))
    fps = min(max(FPS / stride, 5), FASTEST if stride > 1 else FPS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "episode.gif")
        write_gif(pictures, path, fps)
        gif = path.read_bytes()
    still = io.BytesIO()
    require("PIL.Image", "plot", "pictures").fromarray(pictures[0]).save(still, "PNG")
    return gif, still.getvalue()


def _figure(tape: EpisodeRecording, moving: bytes, still: bytes, which: str) -> Html:
    """Those who want no motion see the first picture."""
    cut = "" if tape.finished else ", where it was cut short"
    alt = f"Moving pictures of a greedy episode of {tape.length:,} env steps."
    source = tag("source", srcset=_uri("png", still), media="(prefers-reduced-motion: reduce)")
    image = f'<img src="{_uri("gif", moving)}" alt="{alt}">'
    picture = tag("picture", Html(source.removesuffix("</source>")), Html(image))
    caption = (
        f"Greedy episode of the {which}: return {format_number(tape.episode_return)} in "
        f"{tape.length:,} env steps{cut}."
    )
    return tag("figure", picture, tag("figcaption", caption), class_="episode")


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
