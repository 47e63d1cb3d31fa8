"""Single trees in single files, as Equinox writes them."""

import os
from pathlib import Path

import equinox as eqx
import jax

from vibe_rl.checkpoint.leaves import unwrap_key, wrap_key
from vibe_rl.errors import DamagedCheckpointError, NoCheckpointError, reason, writing
from vibe_rl.run_dir.files import write_atomically
from vibe_rl.types import PyTree


def save_eqx(path: str | os.PathLike[str], tree: PyTree) -> Path:
    """Writes the arrays of a tree to one file, whole or not at all; its folders are made.

    Typed keys are written as their integers.

    Raises:
        ConfigError: the file system refuses to write there.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as file:
        eqx.tree_serialise_leaves(file, jax.tree.map(unwrap_key, tree))
    return path


def load_eqx(path: str | os.PathLike[str], like: PyTree) -> PyTree:
    """Reads what `save_eqx` wrote, with the structure, shapes and dtypes of `like`.

    Raises:
        NoCheckpointError: there is no such file.
        DamagedCheckpointError: it holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise NoCheckpointError(f"there is no file {path}: name one that save_eqx wrote.")
    try:
        with path.open("rb") as file:
            found = eqx.tree_deserialise_leaves(file, jax.tree.map(unwrap_key, like))
    except (RuntimeError, ValueError, EOFError, OSError, TypeError) as error:
        raise DamagedCheckpointError(
            f"{path.name} does not hold what is expected ({reason(error)}): give a `like` of "
            "what was saved, or another file."
        ) from error
    return jax.tree.map(wrap_key, like, found)
