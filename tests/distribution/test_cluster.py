"""Who trains with whom, from TF_CONFIG or Slurm, before any process is started."""

import json
from typing import Any

import pytest

from melanoma_exp.distribution import cluster
from melanoma_exp.distribution.cluster import Cluster
from melanoma_exp.spec import UserError

WORKERS = ["10.0.0.1:2222", "10.0.0.2:2222"]
SLURM = {
    "SLURM_STEP_NUM_TASKS": "5",
    "SLURM_STEP_NODELIST": "node[08-10]",
    "SLURM_PROCID": "3",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_ID": "0",
}


def tf_config(workers: Any, kind: str = "worker", index: Any = 1, **jobs: Any) -> dict[str, str]:
    content = {"cluster": {"worker": workers, **jobs}, "task": {"type": kind, "index": index}}
    return {"TF_CONFIG": json.dumps(content)}


def test_tf_config_names_the_workers() -> None:
    assert cluster.from_environment(tf_config(WORKERS)) == Cluster(tuple(WORKERS), 1)
    chief = cluster.from_environment(tf_config(WORKERS, "chief", 0, chief=["a:1"]))
    assert chief.is_chief and chief.addresses == ("a:1", *WORKERS)
    second = cluster.from_environment(tf_config(WORKERS, "worker", 1, chief=["a:1"]))
    assert second.index == 2 and second.name(2) == "worker 2 (10.0.0.2:2222)"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "the workers are not known"),
        ({"TF_CONFIG": "{"}, "TF_CONFIG: is not valid JSON"),
        ({"TF_CONFIG": "[]"}, "TF_CONFIG: has no cluster"),
        (tf_config(WORKERS, index=2), "has no task.index below 2 (got 2)"),
        (tf_config(WORKERS, index="1"), "has no task.index below 2 (got 1)"),
        (tf_config(WORKERS, "chief"), "has no task.type out of worker"),
        (tf_config(["10.0.0.1"]), "cluster.worker: should be host:port (got 10.0.0.1)"),
        (tf_config("10.0.0.1:1"), "cluster.worker should be a list of host:port"),
        (tf_config(WORKERS[:1] * 2), "lists an address twice"),
        (tf_config(WORKERS, ps=["a:1"]), "has a job ps; only chief and worker train together"),
        ({**SLURM, "SLURM_STEP_TASKS_PER_NODE": "x"}, "Slurm's environment cannot be read"),
    ],
)
def test_a_broken_environment_is_reported_in_one_line(environment: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        cluster.from_environment(environment)
    assert len(caught.value.lines) == 1 and "\n" not in caught.value.lines[0]
    assert message in caught.value.lines[0]


def test_slurm_names_the_workers_as_tensorflows_resolver_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import tensorflow as tf

    ours = cluster.from_environment(SLURM)
    assert ours.index == 3
    port = int(ours.addresses[0].split(":")[1])
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    theirs = tf.distribute.cluster_resolver.SlurmClusterResolver(
        port_base=port, gpus_per_node=2, gpus_per_task=1, auto_set_gpu=False
    )
    assert list(ours.addresses) == theirs.cluster_spec().as_dict()["worker"]
    assert theirs.get_task_info() == ("worker", ours.index)
    other_job = cluster.from_environment({**SLURM, "SLURM_JOB_ID": "8"})
    assert not set(other_job.addresses) & set(ours.addresses)


def test_slurms_short_form_of_hosts() -> None:
    text = "a,n[1-2,07],gpu[9-10]-ib,z9"
    assert cluster.expand_hosts(text) == ["a", "n1", "n2", "n07", "gpu9-ib", "gpu10-ib", "z9"]
