"""Readings of the machine beside a run: processor, memory, disk, network, GPU."""

import os
import platform
import threading
from collections.abc import Callable
from pathlib import Path

from mlflow.system_metrics.metrics.base_metrics_monitor import BaseMetricsMonitor
from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

THREAD = "system metrics"


def machine() -> str:
    """Name the processor and its cores: a figure that depends on speed says nothing without them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


class SystemMetrics:
    """A thread that hands `system/...` readings to `record(values)`.

    MLflow's own SystemMetricsMonitor asks the store between readings: it stops for good when the store is
    away, and joins a thread that may hang in HTTP retries. Its readers are used, its loop is not.
    """

    def __init__(self, record: Callable[[dict[str, float]], None], seconds: float) -> None:
        self._record, self._seconds = record, seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=THREAD, daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        monitors = _monitors()
        while not self._stop.wait(self._seconds):
            values: dict[str, float] = {}
            for monitor in monitors:
                monitor.collect_metrics()
                values |= {f"system/{name}": value for name, value in monitor.aggregate_metrics().items()}
                monitor.clear_metrics()
            self._record(values)


def _monitors() -> list[BaseMetricsMonitor]:
    monitors: list[BaseMetricsMonitor] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    try:
        monitors.append(GPUMonitor())
    except Exception:  # without a GPU, or without nvidia-ml-py, the reader raises what it finds first
        return monitors
    return monitors
