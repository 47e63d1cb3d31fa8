"""Saving and loading trees of arrays: Orbax directories whose entries are named by their path.

A checkpoint appears under its final name only when it is complete. Loading reads arrays and JSON
and never executes code. Names, shapes and dtypes are compared with the template before anything is
read, because Orbax casts silently where they differ.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from vibe_rl import sharding
from vibe_rl.checkpoint.leaves import checksum_of_leaf, is_shape, named_leaves, snapshot, wrap_key
from vibe_rl.checkpoint.orbax_logs import quieten_orbax
from vibe_rl.errors import (
    CheckpointExistsError,
    ConfigError,
    DamagedCheckpointError,
    NoCheckpointError,
    reason,
    shown,
    whole_number,
)
from vibe_rl.run_dir.plain import as_json
from vibe_rl.types import PyTree

FORMAT = 1
OWN_NOTES = ("format", "digests")
"""Names of a checkpoint's own notes, beside its step."""
STEP = re.compile(r"step_(\d+)")


def save_checkpoint(
    directory: str | Path,
    tree: PyTree,
    *,
    step: int | None = None,
    metadata: Mapping[str, Any] | None = None,
    unreplicate: bool = False,
) -> Path:
    """Writes `tree` to `directory/step_N`, or to `directory` itself without a step.

    Args:
        directory: created if missing.
        tree: any pytree of arrays; typed keys are allowed.
        step: env steps taken.
        metadata: names and what JSON can hold, arrays as lists; `load_metadata` reads it.
        unreplicate: whether `tree` has a leading axis of devices; its first entry is saved.

    Raises:
        CheckpointExistsError: there is a checkpoint of that step already.
        ConfigError: nothing of the kind can be saved, or not there.
    """
    step = None if step is None else whole_number("step", step)
    path = _path(directory, step)
    if path.is_file():
        raise ConfigError(f"{shown(path)} is a file: name a directory for checkpoints.")
    if path.exists() and (step is not None or any(path.iterdir())):
        raise CheckpointExistsError(
            f"checkpoint {path.name} exists already in {path.parent}: name another."
        )
    tree = sharding.unreplicate(tree) if unreplicate else tree
    with _checkpointer() as (checkpointer, _):
        checkpointer.save(path, save_args(tree, step, metadata), force=step is None)
    return path


def save_args(
    tree: PyTree, step: int | None, metadata: Mapping[str, Any] | None, *, copy: bool = False
) -> Any:
    """Orbax's arguments for the two parts of a checkpoint, arrays and notes.

    Args:
        tree, step, metadata: see `save_checkpoint`.
        copy: whether NumPy arrays may be changed before they are written.
    """
    import orbax.checkpoint as ocp  # noqa: PLC0415 - a third of a second that most commands save

    named = {name: snapshot(leaf, copy) for name, leaf in named_leaves(tree).items()}
    digests = {name: checksum_of_leaf(leaf) for name, leaf in named.items()}
    own = {"format": FORMAT, "step": step, "digests": digests}
    notes = own | as_json("metadata", metadata or {}, OWN_NOTES)
    return ocp.args.Composite(state=ocp.args.PyTreeSave(named), metadata=ocp.args.JsonSave(notes))


def load_checkpoint(
    directory: str | Path,
    like: PyTree,
    *,
    step: int | None = None,
    replicate_to: Mesh | int | None = None,
    part: str = "",
    ignore: Sequence[str] = (),
    notes: Mapping[str, Any] | None = None,
) -> PyTree:
    """Reads the tree whose structure, shapes and dtypes are those of `like`.

    Args:
        directory: where `save_checkpoint` or a `CheckpointManager` wrote.
        like: arrays or `jax.ShapeDtypeStruct`s; where these have a sharding, arrays get it, on
            however many devices they were saved. NumPy's arrays stay in the host's memory.
        step: env steps; None takes the latest, or `directory` itself if that is a checkpoint.
        replicate_to: a mesh, on each of whose devices every array is to be; or a number of devices,
            for a leading axis with an entry on each, see `vibe_rl.sharding.replicate`.
        part: the path of `like` in the saved tree, such as ".agent_state"; whatever else was saved,
            there or elsewhere, is not read.
        ignore: paths in the saved tree that `like` may lack, such as ".agent_state.memory.check":
            what was saved there, or below, is not read.
        notes: what `load_metadata` returned for this step, if it has been read already.

    Raises:
        NoCheckpointError: there is no such checkpoint.
        ConfigError: it has other leaves, shapes or dtypes, or a newer format.
        DamagedCheckpointError: it cannot be read, or differs from what was saved.
    """
    path = _find(directory, step)
    notes = load_metadata(directory, step=step) if notes is None else notes
    template = {part + name: leaf for name, leaf in named_leaves(like).items()}
    with _reader() as (checkpointer, args), _raise_as_damage(path):
        _compare(path, checkpointer, template, part, ignore)
        composite = args.Composite(state=_restore_args(template))
        restored = checkpointer.restore(path, composite)["state"]
    _check_digests(path, notes.get("digests", {}), restored)
    leaves = [_to_device(leaf, restored[name]) for name, leaf in template.items()]
    tree = jax.tree.map(wrap_key, like, jax.tree.unflatten(jax.tree.structure(like), leaves))
    if replicate_to is None:
        return tree
    if isinstance(replicate_to, Mesh):
        return sharding.replicate_on_mesh(tree, replicate_to)
    return sharding.replicate(tree, replicate_to)


def check_fits(
    directory: str | Path,
    like: PyTree,
    *,
    step: int | None = None,
    ignore: Sequence[str] = (),
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Raises what `load_checkpoint` would, but reads no array."""
    if notes is None:
        load_metadata(directory, step=step)
    path = _find(directory, step)
    with _reader() as (checkpointer, _), _raise_as_damage(path):
        _compare(path, checkpointer, named_leaves(like), "", ignore)


def load_metadata(directory: str | Path, *, step: int | None = None) -> dict[str, Any]:
    """The notes of a checkpoint: its step, checksums and the `metadata` it was saved with.

    Raises:
        NoCheckpointError: there is no such checkpoint.
        DamagedCheckpointError: it cannot be read.
        ConfigError: it has a newer format.
    """
    path = _find(directory, step)
    with _reader() as (checkpointer, args), _raise_as_damage(path):
        notes = checkpointer.restore(path, args.Composite(metadata=args.JsonRestore()))["metadata"]
    if notes.get("format", 0) > FORMAT:
        raise ConfigError(
            f"checkpoint {path.name} has format {notes['format']}, and this version reads up to "
            f"{FORMAT}: install a newer vibe_rl."
        )
    return notes


@contextmanager
def _raise_as_damage(path: Path) -> Iterator[None]:
    """Raises what goes wrong while reading as DamagedCheckpointError."""
    try:
        yield
    except (ConfigError, MemoryError, PermissionError):
        raise
    except Exception as error:  # of Orbax, TensorStore, JSON or the file system
        if "RESOURCE_EXHAUSTED" in str(error):
            raise  # of memory or of files: the checkpoint is not damaged
        raise DamagedCheckpointError(
            f"checkpoint {path.name} in {path.parent} cannot be read "
            f"({type(error).__name__}: {reason(error)}): take an earlier one."
        ) from error


def _check_digests(path: Path, saved: Mapping[str, int | None], restored: dict[str, Any]) -> None:
    bad = [
        name
        for name, leaf in restored.items()
        if saved.get(name) is not None and checksum_of_leaf(leaf) not in (None, saved[name])
    ]
    if bad:
        raise DamagedCheckpointError(
            f"checkpoint {path.name} in {path.parent} was altered at {', '.join(bad[:3])}: take an "
            "earlier one."
        )


def saved_steps(directory: str | Path) -> list[int]:
    """The steps of the complete checkpoints in `directory`, in order."""
    folders = (path for path in Path(directory).glob("step_*") if (path / "state").is_dir())
    names = (STEP.fullmatch(path.name) for path in folders)
    return sorted(int(name[1]) for name in names if name)


def _reader() -> AbstractContextManager[tuple[Any, Any]]:
    """A reader that waits for no other process: each may read, or fail, by itself."""
    here = jax.process_index()
    return _checkpointer(primary_host=here, active_processes={here})


@contextmanager
def _checkpointer(**processes: Any) -> Iterator[tuple[Any, Any]]:
    """Orbax's writer and reader of a tree and its notes, and the namespace of its arguments."""
    import orbax.checkpoint as ocp  # noqa: PLC0415 - a third of a second that most commands save

    quieten_orbax()
    handler = ocp.CompositeCheckpointHandler(
        state=ocp.PyTreeCheckpointHandler(), metadata=ocp.JsonCheckpointHandler()
    )
    how = ocp.options.MultiprocessingOptions(**processes)
    with ocp.Checkpointer(handler, multiprocessing_options=how) as checkpointer:
        yield checkpointer, ocp.args


def _path(directory: str | Path, step: int | None) -> Path:
    root = Path(directory).absolute()
    return root if step is None else root / f"step_{step}"


def _find(directory: str | Path, step: int | None) -> Path:
    step = None if step is None else whole_number("step", step)
    steps = saved_steps(directory)
    path = _path(directory, steps[-1] if step is None and steps else step)
    if not (path / "state").is_dir():
        what = "no checkpoint" if step is None else f"no checkpoint {path.name}"
        known = f"name one of the steps {steps}" if steps else "name one that holds any"
        raise NoCheckpointError(f"{what} in {directory}: {known}.")
    return path


def _to_device(template: Any, leaf: Any) -> Any:
    """Where a shape without a sharding was asked for, the array where JAX puts what it computes.

    JAX compiles anew for an array that is bound to a device, as those that Orbax places are.
    """
    anywhere = is_shape(template) and template.sharding is None
    return jnp.asarray(leaf) if anywhere else leaf


def _restore_args(template: dict[str, Any]) -> Any:
    """Orbax's arguments to read these arrays and no others."""
    import orbax.checkpoint as ocp  # noqa: PLC0415

    how = ocp.checkpoint_utils.construct_restore_args(template)
    return ocp.args.PyTreeRestore(item=template, restore_args=how, partial_restore=True)


def _compare(
    path: Path, checkpointer: Any, template: dict[str, Any], part: str, ignore: Sequence[str]
) -> None:
    """Raises ConfigError where shapes and dtypes of the saved leaves are not those expected."""
    saved = checkpointer.metadata(path).item_metadata["state"]
    saved = {
        name: leaf
        for name, leaf in getattr(saved, "tree", saved).items()
        if name in template or not (part or _lies_in(name, ignore))
    }
    bad = []
    for name in sorted(set(saved) | set(template)):
        was, wanted = _describe(saved.get(name)), _describe(template.get(name))
        if was != wanted:
            bad.append(f"{name} ({was} saved, {wanted} expected)")
    _refuse(path, bad)


def _lies_in(name: str, paths: Sequence[str]) -> bool:
    """Whether a leaf is at one of these paths or below."""
    return any(name == path or name.startswith((f"{path}.", f"{path}[")) for path in paths)


def _describe(leaf: Any) -> str:
    return "nothing" if leaf is None else f"{np.dtype(leaf.dtype)}{list(leaf.shape)}"


def _refuse(path: Path, bad: list[str]) -> None:
    if bad:
        raise ConfigError(
            f"checkpoint {path.name} does not fit the config at {', '.join(bad[:3])}: "
            "load it with the config it was saved with."
        )
