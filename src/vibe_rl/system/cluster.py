"""Joining several processes, on one machine or many, through JAX's own distributed runtime.

Flags and a few variables name the coordinator, the number of processes and the index of this one.
What they do not name is left to JAX, which knows SLURM, Open MPI 4, Kubernetes and Cloud TPU.
"""

import os
import re
import socket
import sys
import threading
from collections.abc import Mapping
from typing import NamedTuple

import jax

from vibe_rl.errors import ConfigError, reason

COORDINATOR = ("JAX_COORDINATOR_ADDRESS",)
COUNT = ("JAX_NUM_PROCESSES", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
INDEX = ("JAX_PROCESS_ID", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "JOB_COMPLETION_INDEX")
"""Variables that JAX does not read by itself: Open MPI 5, MPICH, indexed jobs of Kubernetes."""
TIMEOUT = 60
"""Seconds to wait for the other processes, at the start and for a sign of life."""


class Cluster(NamedTuple):
    """Which process of how many this is, and where the first listens; None is left to JAX."""

    coordinator: str | None  # host:port
    n_processes: int | None
    index: int | None


def find_cluster(
    coordinator: str | None = None,
    n_processes: int | None = None,
    index: int | None = None,
    env: Mapping[str, str] = os.environ,
) -> Cluster:
    """The settings from the arguments or else from `env`.

    Raises:
        ConfigError: a value is not valid.
    """
    address = coordinator or first_set(env, COORDINATOR)
    count = n_processes if n_processes is not None else first_integer(env, COUNT)
    here = index if index is not None else first_integer(env, INDEX)
    if address and not (re.fullmatch(r".+:\d{1,5}", address) and port_of(address) < 2**16):
        raise ConfigError(f"coordinator {address!r}: give a host and a port, such as host0:1234.")
    if count is not None and (count < 1 or not 0 <= (here or 0) < count):
        raise ConfigError(
            f"process_id {here} of num_processes {count}: give 0 to num_processes - 1."
        )
    return Cluster(address, count, here)


def first_set(env: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    """The value of the first of these variables that is set."""
    return next((env[name] for name in names if env.get(name)), None)


def first_integer(env: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    """The value of the first of these variables that is set, as an integer."""
    text = first_set(env, names)
    if text is not None and not text.isdecimal():
        raise ConfigError(f"{' or '.join(names)} is {text!r}: set a whole number.")
    return None if text is None else int(text)


def port_of(coordinator: str) -> int:
    """The port in `host:port`."""
    return int(coordinator.rpartition(":")[2])


def connect(cluster: Cluster, timeout: int = TIMEOUT) -> None:
    """Waits for the other processes, before JAX computes anything.

    If they do not come within `timeout` seconds, this ends the process with a sentence and status
    2; if later one gives no sign of life for so long, JAX ends the others.

    Raises:
        ConfigError: something is missing that JAX does not find, or the port is taken.
    """
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # Gloo mixes up what overlaps
    jax.config.update("jax_enable_preemption_service", False)  # SIGTERM is the run's to answer
    if cluster.index == 0 and cluster.coordinator is not None:
        check_free_port(cluster.coordinator)
    give_up = threading.Timer(timeout, end_process, [timeout_message(cluster, timeout), 2])
    give_up.daemon = True
    give_up.start()
    try:
        jax.distributed.initialize(
            *cluster,
            # JAX would show each process of SLURM and of Open MPI one GPU of its machine
            local_device_ids=None if os.environ.get("JAX_LOCAL_DEVICE_IDS") else [],
            initialization_timeout=2 * timeout,  # JAX would abort, and not say what it tried
            heartbeat_timeout_seconds=timeout,
            shutdown_timeout_seconds=timeout,
        )
    except (ValueError, RuntimeError) as error:
        if None not in cluster:
            raise
        raise missing_setting(cluster, reason(error)) from error
    finally:
        give_up.cancel()


def missing_setting(cluster: Cluster, why: str) -> ConfigError:
    """The error for the first setting that is not given and that JAX does not find."""
    examples = {"coordinator": "host0:1234", "num_processes": "2", "process_id": "0"}
    missing = list(zip(examples.items(), (COORDINATOR, COUNT, INDEX), cluster, strict=True))
    (name, example), variables, _ = next(each for each in missing if each[-1] is None)
    return ConfigError(
        f"--distributed does not know {name} ({why}): give --{name} {example}, or set "
        f"{variables[0]}."
    )


def check_free_port(coordinator: str) -> None:
    """Raises ConfigError if this process cannot listen there; JAX would crash."""
    port = port_of(coordinator)
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        socket.create_server(("", port), family=family, dualstack_ipv6=both).close()
    except OSError as error:
        raise ConfigError(
            f"coordinator {coordinator}: process 0 cannot listen at port {port} "
            f"({error.strerror}), choose another."
        ) from error


def timeout_message(cluster: Cluster, timeout: int) -> str:
    """What to print if the processes did not find each other."""
    address, count, index = cluster
    if address is None:
        return (
            f"the processes that the launcher started did not find each other within {timeout} s: "
            "see that each runs, and give --coordinator host0:1234 or a longer --timeout."
        )
    if index == 0:
        return (
            f"process 0 listened at port {port_of(address)} for {timeout} s, and not all of "
            f"{count} processes came: start each with --coordinator {address} and its own "
            "--process_id, or give a longer --timeout."
        )
    return (
        f"coordinator {address} did not answer process {index} of {count} within {timeout} s: see "
        "that process 0 runs there and that its port can be reached, or give a longer --timeout."
    )


def end_process(message: str, status: int) -> None:
    """Ends the process at once, whatever other threads wait for."""
    print(f"vibe-rl: {message}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(status)
