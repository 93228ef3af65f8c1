"""The C kernels under the sanitizers for addresses and undefined behaviour: `make sanitize`."""

import os
import subprocess
from pathlib import Path

import pytest

from deblurlib.ops.backends import compiler

DRIVER = Path(__file__).with_name("sanitize.c")
CHECKS = ["address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
REALS = {"float": 4, "double": 8}


def run(folder, kernel, real, flags, source=None):
    """Compile the driver with a kernel and run it; the finished process."""
    program = folder / f"{kernel}-{real}"
    source = source or compiler.SOURCES / f"{kernel}.c"
    command = [compiler.find_compiler(), DRIVER, "-o", program, f'-DKERNEL="{source}"']
    command += [f"-DRUN_{kernel}", f"-DREAL={real}", f"-DREAL_BYTES={REALS[real]}", "-lm", *flags]
    command += ["-std=gnu11", "-O1", "-g", "-fopenmp", *compiler.MATH]
    command += [f"-fsanitize={CHECKS[0]}", CHECKS[1]]
    subprocess.run(command, check=True, capture_output=True, text=True)
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.run([program], env=environment, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="session")
def sanitizers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    (folder / "probe.c").write_text("int main(void) { return 0; }\n")
    command = [compiler.find_compiler(), "probe.c", "-fopenmp", f"-fsanitize={CHECKS[0]}"]
    if command[0] is None or subprocess.run(command, cwd=folder, capture_output=True).returncode:
        pytest.skip("no C compiler with sanitizers here")


@pytest.mark.slow
@pytest.mark.parametrize("flags", [["-march=native"], []], ids=["native", "plain"])
@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("kernel", ["deform_conv", "spatial_rnn", "dynamic_filter", "prelu"])
def test_a_kernel_stays_within_its_memory_and_the_rules_of_c(
    sanitizers, tmp_path, kernel, real, flags
):
    done = run(tmp_path, kernel, real, flags)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "right", "wrong"),
    [
        ("dynamic_filter", "2 * (size - 1) - i", "2 * size - i"),
        ("deform_conv", "y[i] = y[i] < height ? y[i] : height;", ""),
        ("spatial_rnn", "splat(edge >= 0 && edge < width ?", "splat(edge >= 0 ?"),
        ("prelu", "i + SUMS * LANES <= end", "i < end"),
    ],
)
def test_the_sanitizers_find_a_mistake(sanitizers, tmp_path, kernel, right, wrong):
    text = (compiler.SOURCES / f"{kernel}.c").read_text()
    assert text.count(right) == 1
    (tmp_path / "common.h").write_text((compiler.SOURCES / "common.h").read_text())
    (tmp_path / "broken.c").write_text(text.replace(right, wrong))
    done = run(tmp_path, kernel, "float", ["-march=native"], source=tmp_path / "broken.c")
    assert "Sanitizer" in done.stderr or "runtime error" in done.stderr
