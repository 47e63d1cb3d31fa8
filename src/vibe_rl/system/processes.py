"""One run in several processes, on one machine or many, through JAX's own distributed runtime.

Every process runs the same program on its own devices. What only one may do, such as writing a log,
the first does; where clocks or signals decide, the processes agree.
"""

import os
import re
import socket
import sys
import threading
import traceback
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from vibe_rl.errors import ConfigError, NonFiniteLossError, reason

Result = TypeVar("Result")

COORDINATOR = ("JAX_COORDINATOR_ADDRESS",)
COUNT = ("JAX_NUM_PROCESSES", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
INDEX = (
    "JAX_PROCESS_ID",
    "SLURM_PROCID",
    "OMPI_COMM_WORLD_RANK",
    "PMI_RANK",
    "JOB_COMPLETION_INDEX",
)
"""Where launchers say it: JAX's own names, SLURM, Open MPI, MPICH, indexed jobs of Kubernetes."""
SLURM_NODES = ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST")
SLURM_PORTS = range(61440, 65536)
TIMEOUT = 60
"""Seconds to wait for the other processes, at the start and for a sign of life."""
FAILED = 3
"""Exit status of a process that fails or loses another."""


class Cluster(NamedTuple):
    """Which process of how many this is, and where the first listens."""

    coordinator: str  # host:port
    n_processes: int
    index: int


def find_cluster(
    coordinator: str | None = None,
    n_processes: int | None = None,
    index: int | None = None,
    env: Mapping[str, str] = os.environ,
) -> Cluster:
    """What was given, and else what the launcher says in `env`.

    Raises:
        ConfigError: something is not known, or cannot be.
    """
    address = coordinator or said(env, COORDINATOR) or slurm_coordinator(env)
    count = n_processes if n_processes is not None else whole(env, COUNT)
    here = index if index is not None else whole(env, INDEX)
    if address is None:
        raise unknown_setting("coordinator", "host0:1234", COORDINATOR)
    if count is None:
        raise unknown_setting("num_processes", "2", COUNT)
    if here is None:
        raise unknown_setting("process_id", "0", INDEX)
    if not re.fullmatch(r".+:\d{1,5}", address) or int(address.rpartition(":")[2]) >= 2**16:
        raise ConfigError(f"coordinator {address!r}: give a host and a port, such as host0:1234.")
    if count < 1 or not 0 <= here < count:
        raise ConfigError(
            f"process_id {here} of num_processes {count}: give 0 to num_processes - 1."
        )
    return Cluster(address, count, here)


def unknown_setting(name: str, example: str, variables: tuple[str, ...]) -> ConfigError:
    """How to say what was not said."""
    launchers = f"; no launcher set {' or '.join(variables[1:])}" if variables[1:] else ""
    return ConfigError(
        f"--distributed does not know {name}: give --{name} {example}, or set "
        f"{variables[0]}{launchers}."
    )


def said(env: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    """The first of these variables that is set."""
    return next((env[name] for name in names if env.get(name)), None)


def whole(env: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    """The same as a number."""
    text = said(env, names)
    if text is not None and not text.isdecimal():
        raise ConfigError(f"{' or '.join(names)} is {text!r}: set a whole number.")
    return None if text is None else int(text)


def slurm_coordinator(env: Mapping[str, str]) -> str | None:
    """The first node of a SLURM job, at a port that follows from the job's number."""
    nodes, job = said(env, SLURM_NODES), env.get("SLURM_JOB_ID", "")
    first = re.match(r"([^\[,]+)(?:\[(\d+))?", nodes or "")
    if first is None or not job.isdecimal():
        return None
    return f"{first[1]}{first[2] or ''}:{SLURM_PORTS[int(job) % len(SLURM_PORTS)]}"


def connect(cluster: Cluster, timeout: int = TIMEOUT) -> None:
    """Waits for the other processes, before JAX computes anything.

    If they do not come within `timeout` seconds, this ends the process with a sentence and status
    2; if later one gives no sign of life for so long, JAX ends the others.
    """
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # Gloo mixes up what overlaps
    jax.config.update("jax_enable_preemption_service", False)  # SIGTERM is the run's to answer
    if cluster.index == 0:
        check_free_port(cluster.coordinator)
    give_up = threading.Timer(timeout, end, [missed(cluster, timeout), 2])
    give_up.daemon = True
    give_up.start()
    try:
        jax.distributed.initialize(
            *cluster,
            initialization_timeout=2 * timeout,  # JAX would abort, and not say what it tried
            heartbeat_timeout_seconds=timeout,
            shutdown_timeout_seconds=timeout,
            cluster_detection_method="deactivate",
        )
    finally:
        give_up.cancel()


def check_free_port(coordinator: str) -> None:
    """Raises ConfigError if this process cannot listen there; JAX would crash."""
    port = int(coordinator.rpartition(":")[2])
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        socket.create_server(("", port), family=family, dualstack_ipv6=both).close()
    except OSError as error:
        raise ConfigError(
            f"coordinator {coordinator}: process 0 cannot listen at port {port} "
            f"({error.strerror}), choose another."
        ) from error


def missed(cluster: Cluster, timeout: int) -> str:
    """What to say if the processes did not find each other."""
    address, count, index = cluster
    if index == 0:
        return (
            f"process 0 listened at port {address.rpartition(':')[2]} for {timeout} s, and not all "
            f"of {count} processes came: start each with --coordinator {address} and its own "
            "--process_id, or give a longer --timeout."
        )
    return (
        f"coordinator {address} did not answer process {index} of {count} within {timeout} s: see "
        "that process 0 runs there and that its port can be reached, or give a longer --timeout."
    )


def end(message: str, status: int) -> None:
    """Ends the process at once, whatever other threads wait for."""
    print(f"vibe-rl: {message}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(status)


@contextmanager
def ended_if_alone() -> Iterator[None]:
    """Ends this process at once if it is one of several and fails: the others would wait for it.

    It fails too when another is lost. A loss that is not finite is so for all, and raised as ever.
    """
    try:
        yield
    except NonFiniteLossError:
        raise
    except BaseException as error:
        if jax.process_count() == 1:
            raise
        traceback.print_exc()
        why = f"{type(error).__name__}: {reason(error)}"
        here = f"process {jax.process_index()} of {jax.process_count()}"
        end(
            f"{here} failed or lost another ({why}): all end, resume from the last checkpoint.",
            FAILED,
        )


def is_first() -> bool:
    """Whether this process is the one that writes and speaks."""
    return jax.process_index() == 0


def greatest(value: int) -> int:
    """The greatest that any process gave; all wait for each other here."""
    if jax.process_count() == 1:
        return int(value)
    return int(np.max(multihost_utils.process_allgather(np.asarray(value, np.int32))))


def all_here() -> None:
    """Returns when every process is here."""
    greatest(0)


def together(function: Callable[[], Result], here: bool = True) -> Result | None:
    """What it gives; where it fails in one process, it fails in all.

    Args:
        function: must not wait for other processes.
        here: whether this process has a part in it.
    """
    error, result = None, None
    try:
        result = function() if here else None
    except Exception as failed:  # whatever it is, the others must not wait for ever
        error = failed
    if greatest(error is not None):
        raise error or ConfigError("another process cannot go on: see what it says.")
    return result


def by_first(function: Callable[[], object]) -> None:
    """The first process does it, and the others wait; if it fails, all do."""
    together(function, is_first())


def told_by_first(function: Callable[[], str]) -> str:
    """A text that the first process makes, known to all."""
    text = together(function, is_first()) or ""
    if jax.process_count() == 1:
        return text
    letters = np.frombuffer(text.encode(), np.uint8)
    room = np.zeros(greatest(len(letters)), np.uint8)
    room[: len(letters)] = letters
    return bytes(multihost_utils.broadcast_one_to_all(room)).decode()


def check_same(what: str, text: str) -> None:
    """Raises ConfigError if the processes were not given the same."""
    checksum = zlib.crc32(text.encode()) >> 1  # of 31 bits
    if greatest(checksum) != -greatest(-checksum):
        raise ConfigError(f"{what} are not the same in all processes: give all the same.")
