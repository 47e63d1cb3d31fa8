"""Strictness for every test: several devices, no rank promotion, shapes checked at run time."""

import gc
import os
import sys
import tempfile
from contextlib import suppress
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from pkgutil import iter_modules

from kept_programs import keep_programs
from mlflow_tables import made_once
from processes import COMPILER

os.environ.setdefault("XLA_FLAGS", f"--xla_force_host_platform_device_count=8 {COMPILER}")
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")  # nobody reads them in programs
os.environ.setdefault("JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES", "none")  # paths in their keys
os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" not in os.environ:  # what this session keeps, for all its processes
    CACHE = tempfile.TemporaryDirectory(prefix="vibe_rl_tests_", ignore_cleanup_errors=True)
    os.environ["XDG_CACHE_HOME"] = CACHE.name

import jax
import pytest
from jaxtyping import install_import_hook

import vibe_rl
import vibe_rl.errors  # not from a room below: that may take a compiled file that checks it

ROOMS = {module.name for module in iter_modules(vibe_rl.__path__)} - {"tracking", "errors"}
"""Where shapes are checked; rows of metrics and fields of configs have none, and are many."""
UNCHECKED = "vibe_rl.env.hackmatrix.reference"
"""It has no arrays, and checks would make it 28 times slower."""


class _Unchecked(MetaPathFinder):
    """Finds the modules of `UNCHECKED` as Python does without a hook."""

    def find_spec(self, fullname, path, target=None):
        """The spec of one of them, None for any other module."""
        return PathFinder.find_spec(fullname, path) if fullname.startswith(UNCHECKED) else None


with suppress(ImportError, AttributeError):  # of names that another version has no more
    from repeated import repeat_less

    repeat_less()
install_import_hook([f"vibe_rl.{room}" for room in ROOMS], "beartype.beartype")
sys.meta_path.insert(0, _Unchecked())
jax.config.update("jax_numpy_rank_promotion", "raise")

from vibe_rl.system.memory import free_on_host  # noqa: E402
from vibe_rl.system.programs import (  # noqa: E402
    cache_directory,
    enable_compilation_cache,
    unload_programs,
)

WORKER_BYTES = 4e9
WITH_STRAIGHT_THREEFRY = ("test_prng", "test_loop", "test_placement", "test_distributed")
"""Modules whose random numbers are drawn as users' are on a CPU."""

if "PYTEST_XDIST_WORKER" not in os.environ:
    keep_programs(cache_directory())
enable_compilation_cache()
gc.set_threshold(50_000, 20, 20)  # traces are many small objects, and few of them are cycles


def pytest_collection_finish():
    """Leaves what was imported out of every later search for garbage: an eighth of all time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """A worker on every core that this process may use, as far as there is memory for them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, int(free_on_host() // WORKER_BYTES)))


@pytest.fixture(scope="session")
def _tables_made_once(tmp_path_factory):
    """MLflow upgrades one new database; the later ones of this process are copied from it."""
    with made_once(tmp_path_factory.mktemp("mlflow")):
        yield


@pytest.fixture
def own_mlflow(_tables_made_once, monkeypatch, tmp_path):
    """A working directory, and no address of MLflow: nothing is left beside the runs' folder."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    yield
    assert not {"mlruns", "mlflow.db"} & {path.name for path in tmp_path.iterdir()}


@pytest.fixture
def trackers_here(_tables_made_once, monkeypatch):
    """No process is started for MLflow; `tests/tracking` has tests of those that are."""
    from trackers_here import TrackersHere  # noqa: PLC0415

    monkeypatch.setattr("vibe_rl.tracking.opening.TrackerProcess", TrackersHere)


@pytest.fixture
def few_figures(monkeypatch):
    """A training of `PPOTrainer` draws one figure instead of nine, which take seconds."""
    from vibe_rl.trainers.ppo_trainer.figures import illustrations  # noqa: PLC0415

    few = partial(illustrations.save_figures, names=["training_progress"])
    monkeypatch.setattr(illustrations, "save_figures", few)


@pytest.fixture(autouse=True, scope="module")
def _small_threefry(request):
    """Random numbers are drawn as on an accelerator: they are the same, bit for bit, and programs
    are a third smaller; see `ops/prng.py`.
    """
    if request.module.__name__ in WITH_STRAIGHT_THREEFRY:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vibe_rl.ops.prng.implementation", lambda: "threefry2x32")
        yield


@pytest.fixture(autouse=True, scope="module")
def _unload_programs():
    """Drops what modules compiled before it is too much.

    Each program keeps a dozen memory maps, and Linux ends a process that has 65,530 of them
    (`vm.max_map_count`) with a segmentation fault: half of this suite compiles as many.
    """
    yield
    unload_programs()
