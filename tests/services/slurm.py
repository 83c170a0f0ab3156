"""A real cluster of one node: munged, slurmctld and slurmd of the system's packages, in a folder, on the loopback."""

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.tracking.servers import free_port

CORES = 2  # that the node says it has, whatever the machine has
PATIENCE = 60  # seconds after which a daemon does not come up

# No accounting, as on many a small cluster. What a job is made of is found by its processes' parents, not by cgroups,
# which need systemd. A job that goes back to the queue may start again when its credentials have expired.
CONFIGURATION = """
ClusterName=entente
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdParameters=config_overrides
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
EnforcePartLimits=ALL
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SchedulerParameters=batch_sched_delay=0,sched_interval=2
ReturnToService=2
KillWait=120
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=60 State=UP
"""


class Cluster:
    """What a person at the cluster types."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}

    def ask(self, *command: str) -> str:
        """Run one of SLURM's commands and return what it prints; AssertionError where it fails."""
        done = subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr, self.said())
        return done.stdout

    def jobs(self) -> dict[str, str]:
        """Return the state of each job that has not left the queue, tasks of an array one by one."""
        lines = self.ask("squeue", "--noheader", "--array", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def step(self, job: str) -> str:
        """Return the first step of a job, to which SLURM's signals go, by the number that it has of its own."""
        return self.ask("squeue", "--noheader", f"--jobs={job}", "--format=%A").strip() + ".0"

    def said(self) -> str:
        """Return what the daemons said last."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Bring a cluster up; in the end its jobs are cancelled and its daemons stopped."""
    found = Cluster(folder)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "slurm.conf").write_text(
        CONFIGURATION.format(
            host=socket.gethostname().partition(".")[0],
            folder=folder,
            controller=free_port(),
            daemon=free_port(),
            cores=CORES,
        )
    )
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    named = {name: folder / f"munge.{name}" for name in ("socket", "pid", "log", "seed")}
    munged = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={named['socket']}"]
    munged += [f"--{name}-file={named[name]}" for name in ("pid", "log", "seed")]
    with ExitStack() as stack:
        stack.enter_context(_daemon(found, munged))
        _wait(found, named["socket"].exists)
        stack.enter_context(_daemon(found, ["slurmctld", "-D", "-i"]))
        stack.enter_context(_daemon(found, ["slurmd", "-D", f"-N{socket.gethostname().partition('.')[0]}"]))
        _wait(found, lambda: _idle(found))
        try:
            yield found
        finally:
            subprocess.run(["scancel", "--user=root"], env=os.environ | found.environment, check=False)
            _wait(found, lambda: not found.jobs())


@contextmanager
def _daemon(cluster: Cluster, command: Sequence[str]) -> "Iterator[subprocess.Popen[bytes]]":
    with (cluster.folder / f"{command[0]}.log").open("ab") as log:
        process = subprocess.Popen(
            command, env=os.environ | cluster.environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _idle(cluster: Cluster) -> bool:
    asked = ["sinfo", "--noheader", "--format=%T"]
    environment = os.environ | cluster.environment
    return subprocess.run(asked, env=environment, capture_output=True, check=False).stdout == b"idle\n"


def _wait(cluster: Cluster, condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, cluster.said()
        time.sleep(0.1)
