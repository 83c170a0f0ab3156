"""Several processes for one training: what starts them, and which of them this is."""

import logging
import os
import signal
import sys
from contextlib import AbstractContextManager, nullcontext

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch.distributed import is_torchelastic_launched
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from entente.errors import EntenteError
from entente.training.settings import Machine

NOTHING = nullcontext()
LAUNCHED = "ENTENTE_LAUNCHED"  # says to a process that another started it and holds what is to be held for all
SIGNALLED = 128  # and the signal, as a shell says how a process ended
COUNT = {"torchrun": "WORLD_SIZE", "srun": "SLURM_STEP_NUM_TASKS"}  # of processes, by who started them


def environment(machine: Machine) -> ClusterEnvironment:
    """Return what tells Lightning which of the processes this is."""
    if machine.processes == 1:
        return LightningEnvironment()  # a scheduler's affairs are not Lightning's here
    return TorchElasticEnvironment() if machine.launcher == "torchrun" else SLURMEnvironment(auto_requeue=False)


def launched(machine: Machine, module: str, meanwhile: AbstractContextManager[object] = NOTHING) -> bool:
    """Say whether this is one of the processes that train; else start them, as `python -m module`, until they end.

    Those that it starts itself, and waits for, find LAUNCHED in their environment; `meanwhile` is held for them.

    Raises SystemExit where one fails, with its status, and EntenteError where one is killed, or where there are not as
    many as are asked for.
    """
    if machine.processes == 1:
        return True
    started = int(os.environ.get(COUNT[machine.launcher], 1))
    if started == machine.processes:
        return True
    if started > 1:
        raise EntenteError(
            f"{machine.launcher} has started {started} processes, but trainer.devices={machine.devices} on "
            f"trainer.nodes={machine.nodes} are {machine.processes}: make them the same"
        )
    if machine.launcher == "srun":
        _srun(machine, module)
    elif machine.nodes > 1 and not is_torchelastic_launched():
        raise EntenteError(
            f"trainer.nodes is {machine.nodes}: start `torchrun --nnodes {machine.nodes} --nproc-per-node "
            f"{machine.devices} --rdzv-endpoint HOST:PORT -m {module}` on each of them, or use trainer=slurm"
        )
    else:
        with meanwhile:
            _torchrun(machine, module)
    return False


def _srun(machine: Machine, module: str) -> None:
    if "SLURM_JOB_ID" not in os.environ:
        raise EntenteError("trainer.launcher is srun, but this is no job of SLURM: start it by sbatch or salloc")
    if (nodes := int(os.environ.get("SLURM_JOB_NUM_NODES", machine.nodes))) < machine.nodes:
        raise EntenteError(  # srun would wait for them
            f"trainer.nodes is {machine.nodes}, but this job of SLURM has {nodes}: ask sbatch or salloc for as many"
        )
    many = [f"--nodes={machine.nodes}", f"--ntasks={machine.processes}", f"--ntasks-per-node={machine.devices}"]
    command = ["srun", *many, sys.executable, "-m", module]
    try:
        os.execvp(command[0], command)  # noqa: S606 - signals and the exit status are srun's affair
    except FileNotFoundError:
        raise EntenteError("trainer.launcher is srun, which is not installed here") from None


def _torchrun(machine: Machine, module: str) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // machine.devices)))
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # what matters is said here, or by a process
    here = LaunchConfig(
        run_id="entente",
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=machine.devices,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,  # the same command goes on where it was
    )
    os.environ[LAUNCHED] = "1"
    try:
        elastic_launch(here, sys.executable)("-m", module)
    except ChildFailedError as error:
        rank, first = error.get_first_failure()
        if first.exitcode > 0:
            sys.exit(first.exitcode)  # it has said why
        raise EntenteError(
            f"process {rank} of {machine.processes} was ended by {signal.Signals(-first.exitcode).name}, and "
            "the others were stopped: the same command goes on from the last checkpoint"
        ) from None
    except SignalException as error:
        sys.exit(SIGNALLED + error.sigval)
    finally:
        del os.environ[LAUNCHED]
