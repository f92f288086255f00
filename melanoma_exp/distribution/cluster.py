"""Which processes train together, from TF_CONFIG or Slurm. Imports nothing heavy."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from melanoma_exp.spec import UserError

EXAMPLE = '{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}'
PORTS = 20_000, 40_000  # of Slurm's workers; below the ephemeral ports


@dataclass(frozen=True)
class Cluster:
    """The processes of one training.

    Attributes:
        addresses: `host:port` of each worker, in the same order everywhere; the first is the chief.
        index: Which of them this process is.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this process records the run."""
        return self.index == 0

    def name(self, index: int) -> str:
        """Returns the name of a worker in messages."""
        return f"worker {index} ({self.addresses[index]})"


def from_environment(environment: Mapping[str, str] = os.environ) -> Cluster:
    """Returns the cluster this process belongs to.

    Raises:
        UserError: The environment names none, or an invalid one.
    """
    if environment.get("TF_CONFIG"):
        return _from_tf_config(environment["TF_CONFIG"])
    if int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return _from_slurm(environment)
    raise UserError(
        "distribution=multi_worker: the workers are not known; set TF_CONFIG (such as "
        f"{EXAMPLE}), start with srun, or try it with melanoma-exp launch --workers 2"
    )


def is_worker(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment makes this process one of several, and not their chief."""
    try:
        return not from_environment(environment).is_chief
    except (UserError, ValueError):  # it trains alone, or a run of several processes will say so
        return False


def _from_tf_config(text: str) -> Cluster:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise _invalid(f"is not valid JSON ({error})") from None
    if not isinstance(content, dict) or not isinstance(content.get("cluster"), dict):
        raise _invalid("has no cluster")
    jobs, task = content["cluster"], content.get("task")
    if unknown := sorted(set(jobs) - {"chief", "worker"}):
        raise _invalid(f"has a job {unknown[0]}; only chief and worker train together")
    addresses = [*_addresses(jobs, "chief"), *_addresses(jobs, "worker")]
    if len(set(addresses)) < len(addresses):
        raise _invalid("lists an address twice")
    if not isinstance(task, dict) or task.get("type") not in jobs:
        raise _invalid(f"has no task.type out of {', '.join(jobs)}")
    index = task.get("index")
    if not isinstance(index, int) or not 0 <= index < len(jobs[task["type"]]):
        raise _invalid(f"has no task.index below {len(jobs[task['type']])} (got {index})")
    if task["type"] == "worker":
        index += len(jobs.get("chief", []))
    return Cluster(tuple(addresses), index)


def _addresses(jobs: Mapping[str, Any], job: str) -> list[str]:
    found = jobs.get(job, [])
    if not isinstance(found, list):
        raise _invalid(f"cluster.{job} should be a list of host:port")
    for address in found:
        if not isinstance(address, str) or not re.fullmatch(r"\S+:\d{1,5}", address):
            raise _invalid(f"cluster.{job}: should be host:port (got {address})")
    return found


def _invalid(what: str) -> UserError:
    return UserError(f"TF_CONFIG: {what}; it should look like {EXAMPLE}")


def _from_slurm(environment: Mapping[str, str]) -> Cluster:
    """Reads the environment that srun sets; ranks follow the list of nodes, as is the default.

    TensorFlow's own resolver sorts hosts by name, which swaps the ranks of host2 and host10, and
    needs nvidia-smi.
    """
    try:
        hosts = expand_hosts(environment["SLURM_STEP_NODELIST"])
        tasks = _expand_counts(environment["SLURM_STEP_TASKS_PER_NODE"])
        index, job = int(environment["SLURM_PROCID"]), int(environment["SLURM_JOB_ID"])
        step = int(environment.get("SLURM_STEP_ID", "0"))
        pairs = list(zip(hosts, tasks, strict=True))
    except (KeyError, ValueError) as error:
        raise UserError(
            f"distribution=multi_worker: Slurm's environment cannot be read ({error}); start with "
            "srun, or set TF_CONFIG"
        ) from None
    first, last = PORTS
    base = first + (job * 64 + step * 8) % (last - first - max(tasks))
    return Cluster(tuple(f"{host}:{base + k}" for host, n in pairs for k in range(n)), index)


def expand_hosts(text: str) -> list[str]:
    """Expands Slurm's list of hosts: `n[1-2,07],m` is n1, n2, n07, m."""
    hosts = []
    for prefix, ranges, suffix in re.findall(r"([^,\[\]]+)(?:\[([^\]]+)\])?([^,\[\]]*)", text):
        if not ranges:
            hosts.append(prefix + suffix)
            continue
        for item in ranges.split(","):
            first, _, last = item.partition("-")
            numbers = range(int(first), int(last or first) + 1)
            hosts += [f"{prefix}{str(k).zfill(len(first))}{suffix}" for k in numbers]
    return hosts


def _expand_counts(text: str) -> list[int]:
    """Expands Slurm's tasks by node: `2(x3),1` is 2, 2, 2, 1."""
    counts = []
    for item in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", item)
        if not match:
            raise ValueError(f"SLURM_STEP_TASKS_PER_NODE={text}")
        counts += [int(match[1])] * int(match[2] or 1)
    return counts
