#!/usr/bin/env bash
# Guess: with `disable=None` tqdm hides the bar where there is no terminal, as its documentation
# says. A notebook run by papermill has none, so `tqdm.notebook` and `tqdm.auto`, which choose
# the form of the bar, stay silent there, or else write its progress to the log.
#
# What happens: `tqdm.notebook` turns None into False and shows the bar as a widget. Its later states
# are messages to the widget, which papermill neither prints nor stores as output: the log and the
# notebook stay at "0%" with 0 of 3 steps after the loop is complete. Plain tqdm is silent in the
# same kernel.
#
# Why it matters: whoever reads the log of a long training sees a run that hangs at the start, in a
# page that was run headless a bar at 0%. `disable=not sys.stderr.isatty()` hides the bar, and
# printed lines report progress.
#
# Seen with Python 3.11.7, tqdm 4.70.1, ipywidgets 8.1.9, ipykernel 7.4.0, papermill 2.7.0, Linux on
# x86-64:
#   tqdm: disable becomes True, 0 steps counted
#     log:    []
#     stored: []
#   tqdm.notebook: disable becomes False, 3 steps counted
#     log:    ['0%|          | 0/3 [00:00<?, ?it/s]']
#     stored: ['0%|          | 0/3 [00:00<?, ?it/s]']
#   tqdm.auto: disable becomes False, 3 steps counted
#     log:    ['0%|          | 0/3 [00:00<?, ?it/s]']
#     stored: ['0%|          | 0/3 [00:00<?, ?it/s]']
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" tqdm==4.70.1 ipywidgets==8.1.9 \
  ipykernel==7.4.0 papermill==2.7.0
cd "$site"
export PYTHONPATH="$site" JUPYTER_PATH="$site/share/jupyter" IPYTHONDIR="$site/ipython"
"$python" - <<'PY'
import subprocess
import sys

import nbformat

CELL = """
import sys, {module}
assert not sys.stderr.isatty()
bar = {module}.tqdm(range(3), disable=None)
disabled = bar.disable
for _ in bar:
    pass
"""
logs, outputs, counts = {}, {}, {}
for module in ("tqdm", "tqdm.notebook", "tqdm.auto"):
    notebook = nbformat.v4.new_notebook()
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "", "language": "python"}
    code = CELL.format(module=module)
    notebook.cells = [nbformat.v4.new_code_cell(x) for x in (code, "print(disabled, bar.n)")]
    nbformat.write(notebook, "in.ipynb")
    command = [sys.executable, "-m", "papermill", "--log-output", "in.ipynb", "out.ipynb"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    log = (done.stdout + done.stderr).replace("\r", "\n").splitlines()
    logs[module] = [line.strip() for line in log if "it/s" in line]
    first, last = nbformat.read("out.ipynb", 4).cells
    outputs[module] = [output.data["text/plain"].strip() for output in first.outputs]
    counts[module] = last.outputs[0].text.split()
    disabled, steps = counts[module]
    print(f"{module}: disable becomes {disabled}, {steps} steps counted")
    print(f"  log:    {logs[module]}\n  stored: {outputs[module]}")
start = ["0%|          | 0/3 [00:00<?, ?it/s]"]
same = logs == outputs == {"tqdm": [], "tqdm.notebook": start, "tqdm.auto": start}
same &= [x[0] for x in counts.values()] == ["True", "False", "False"]
if not same:
    sys.exit("The behaviour has changed.")
PY
