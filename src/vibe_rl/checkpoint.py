"""Saving and loading trees of arrays: Orbax directories whose entries are named by their path.

A checkpoint appears under its final name only when it is complete. Loading reads arrays and JSON
and never executes code. Names, shapes and dtypes are compared with the template before anything is
restored, because Orbax casts silently where they differ.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.errors import ConfigError
from vibe_rl.types import PyTree

FORMAT = 1
STEP = re.compile(r"step_(\d+)")


def save_checkpoint(
    directory: str | Path,
    tree: PyTree,
    *,
    step: int | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Writes `tree` to `directory/step_N`, or to `directory` itself without a step.

    Args:
        directory: created if missing.
        tree: any pytree of arrays; typed keys are allowed.
        step: env steps taken.
        metadata: whatever JSON can hold, to be read by `load_metadata`.

    Raises:
        ConfigError: a checkpoint of that step is there already.
    """
    path = _path(directory, step)
    if path.exists() and (step is not None or any(path.iterdir())):
        raise ConfigError(f"checkpoint {path.name} exists already in {path.parent}: name another.")
    notes = {"format": FORMAT, "step": step, **(metadata or {})}
    with _checkpointer() as (checkpointer, args):
        arguments = args.Composite(
            state=args.StandardSave(_named(tree)), metadata=args.JsonSave(notes)
        )
        checkpointer.save(path, arguments, force=step is None)
    return path


def load_checkpoint(directory: str | Path, like: PyTree, *, step: int | None = None) -> PyTree:
    """Reads the tree whose structure, shapes and dtypes are those of `like`.

    Args:
        directory: where `save_checkpoint` wrote.
        like: arrays or `jax.ShapeDtypeStruct`s.
        step: env steps; None takes the latest, or `directory` itself if that is a checkpoint.

    Raises:
        ConfigError: no such checkpoint, or one of another shape.
    """
    path = _existing(directory, step)
    template = _named(like)
    with _checkpointer() as (checkpointer, args):
        _compare(path, checkpointer, template)
        arguments = args.Composite(state=args.StandardRestore(template))
        restored = checkpointer.restore(path, arguments)["state"]
    leaves = [
        jax.random.wrap_key_data(restored[name], impl=_key_impl(leaf))
        if _is_key(leaf)
        else restored[name]
        for name, leaf in zip(template, jax.tree.leaves(like), strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def load_metadata(directory: str | Path, *, step: int | None = None) -> dict[str, Any]:
    """What was said of a checkpoint when it was saved."""
    with _checkpointer() as (checkpointer, args):
        arguments = args.Composite(metadata=args.JsonRestore())
        return checkpointer.restore(_existing(directory, step), arguments)["metadata"]


def saved_steps(directory: str | Path) -> list[int]:
    """The steps of the complete checkpoints in `directory`, in order."""
    folders = (path for path in Path(directory).glob("step_*") if (path / "state").is_dir())
    names = (STEP.fullmatch(path.name) for path in folders)
    return sorted(int(name[1]) for name in names if name)


@contextmanager
def _checkpointer() -> Iterator[tuple[Any, Any]]:
    """Orbax's writer and reader of a tree and its notes, and the namespace of its arguments."""
    import orbax.checkpoint as ocp  # noqa: PLC0415 - a third of a second that most commands save

    handler = ocp.CompositeCheckpointHandler(
        state=ocp.StandardCheckpointHandler(), metadata=ocp.JsonCheckpointHandler()
    )
    with ocp.Checkpointer(handler) as checkpointer:
        yield checkpointer, ocp.args


def _path(directory: str | Path, step: int | None) -> Path:
    root = Path(directory).absolute()
    return root if step is None else root / f"step_{step}"


def _existing(directory: str | Path, step: int | None) -> Path:
    steps = saved_steps(directory)
    path = _path(directory, steps[-1] if step is None and steps else step)
    if not (path / "state").is_dir():
        known = f"there are steps {steps}" if steps else "it holds none"
        raise ConfigError(f"no checkpoint {path.name} in {path.parent}: {known}.")
    return path


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key)


def _key_impl(leaf: Any) -> Any:
    """The generator of a key, or of the shape of one."""
    found = []
    jax.eval_shape(lambda key: found.append(jax.random.key_impl(key)), leaf)
    return found[0]


def _raw(leaf: Any) -> Any:
    """Keys as the integers they are made of; shapes of keys as shapes of those."""
    if not _is_key(leaf):
        return leaf
    return (
        jax.eval_shape(jax.random.key_data, leaf) if _is_shape(leaf) else jax.random.key_data(leaf)
    )


def _is_shape(leaf: Any) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct)


def _named(tree: PyTree) -> dict[str, Any]:
    return {jax.tree_util.keystr(path): _raw(x) for path, x in jax.tree.leaves_with_path(tree)}


def _compare(path: Path, checkpointer: Any, template: dict[str, Any]) -> None:
    saved = checkpointer.metadata(path).item_metadata["state"]
    saved = getattr(saved, "tree", saved)
    bad = sorted(set(saved) ^ set(template))
    for name in set(saved) & set(template):
        was, wanted = _describe(saved[name]), _describe(template[name])
        if was != wanted:
            bad.append(f"{name} ({was} saved, {wanted} expected)")
    _refuse(path, bad)


def _describe(leaf: Any) -> str:
    return f"{np.dtype(leaf.dtype)}{list(leaf.shape)}"


def _refuse(path: Path, bad: list[str]) -> None:
    if bad:
        raise ConfigError(
            f"checkpoint {path.name} does not fit the config at {', '.join(bad[:3])}: "
            "load it with the config it was saved with."
        )
