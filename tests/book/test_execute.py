"""The kernels in which notebooks run."""

import sys
from pathlib import Path

import pytest
from jupyter_client.utils import run_sync

from deblurlib.book.execute import KernelManager


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no files exist on Linux only")
def test_kernels_that_start_at_once_cannot_be_given_the_same_port(tmp_path, monkeypatch):
    """A TCP port is chosen before it is bound, so that two kernels could get the same one."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    managers = [KernelManager(kernel_name="python3") for _ in range(2)]
    try:
        for manager in managers:
            run_sync(manager.start_kernel)()
            client = manager.client()
            client.start_channels()
            run_sync(client.wait_for_ready)(timeout=60)
            client.stop_channels()
            bound = Path("/proc/net/unix").read_text().split()
            ports = [
                port for name, port in manager.get_connection_info().items() if "_port" in name
            ]
            assert len(ports) == 5 and {f"{manager.ip}-{port}" for port in ports} <= set(bound)
        assert managers[0].ip != managers[1].ip
        assert len(list((tmp_path / "runtime").glob("kernel-*.json"))) == 2
    finally:
        for manager in managers:
            run_sync(manager.shutdown_kernel)(now=True)
    assert not list((tmp_path / "runtime").glob("kernel-*"))
