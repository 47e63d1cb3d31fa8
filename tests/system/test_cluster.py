"""How processes find each other: what is given, what launchers set and what JAX detects."""

import os
import random
import subprocess
import sys

import jax
import pytest

from vibe_rl.errors import ConfigError
from vibe_rl.system.cluster import Cluster, connect, find_cluster

COUNT = """
from vibe_rl.system.cluster import connect, find_cluster
connect(find_cluster(), timeout=30)
import jax
print(jax.process_index(), jax.process_count(), jax.local_device_count(), jax.device_count())
"""


def test_flags_come_before_what_launchers_set():
    env = {"JAX_COORDINATOR_ADDRESS": "a:1", "OMPI_COMM_WORLD_RANK": "0", "PMI_SIZE": "8"}
    assert find_cluster("host0:1234", 2, 1, env=env) == Cluster("host0:1234", 2, 1)


@pytest.mark.parametrize(
    ("env", "cluster"),
    [
        ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}, Cluster("a:1", 2, 1)),
        ({"PMI_SIZE": "2", "PMI_RANK": "0"}, Cluster("a:1", 2, 0)),
        ({"JAX_NUM_PROCESSES": "2", "JOB_COMPLETION_INDEX": "1"}, Cluster("a:1", 2, 1)),
        ({"JAX_NUM_PROCESSES": "4", "JAX_PROCESS_ID": "3"}, Cluster("a:1", 4, 3)),
    ],
    ids=["Open MPI", "MPICH", "Kubernetes", "by hand"],
)
def test_variables_that_jax_does_not_read_are_read(env, cluster):
    assert find_cluster("a:1", env=env) == cluster
    assert find_cluster(env=env | {"JAX_COORDINATOR_ADDRESS": "a:1"}) == cluster


def test_what_nobody_sets_is_left_to_jax():
    assert find_cluster(env={}) == Cluster(None, None, None)


def test_a_launcher_that_sets_no_number_is_named():
    with pytest.raises(ConfigError, match="PMI_SIZE is 'many'"):
        find_cluster("a:1", env={"PMI_SIZE": "many", "PMI_RANK": "0"})


@pytest.mark.slow
def test_two_processes_of_slurm_find_each_other_and_see_all_their_devices():
    slurm = {
        "SLURM_JOB_ID": str(random.randrange(4096)),  # the port follows from it
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
        "JAX_NUM_CPU_DEVICES": "2",
    }
    env = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"} | slurm
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COUNT],
            env=env | {"SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)},
            **pipes,
        )
        for i in range(2)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [output.splitlines()[-1] for output in outputs] == ["0 2 2 4", "1 2 2 4"], outputs


@pytest.mark.parametrize(
    ("cluster", "sentence"),
    [
        (Cluster(None, None, None), "know coordinator .*--coordinator host0:1234, or set JAX_COO"),
        (Cluster("a:1", None, None), "know num_processes .*--num_processes 2, or set JAX_NUM_PRO"),
        (Cluster("a:1", 2, None), "know process_id .*: give --process_id 0, or set JAX_PROCESS_ID"),
    ],
)
def test_what_jax_does_not_find_either_is_named_with_the_remedy(cluster, sentence, monkeypatch):
    for name in [name for name in os.environ if name.startswith(("SLURM_", "OMPI_", "KUBER"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("JAX_COORDINATOR_ADDRESS", raising=False)
    monkeypatch.setattr(jax.config, "update", lambda name, value: None)  # for the other tests
    with pytest.raises(ConfigError, match=sentence):
        connect(cluster)
