"""The READMEs' Python blocks run, and say what they print."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text()
BLOCKS = [
    block
    for path in (ROOT / "README.md", ROOT / "kernels/recurrent/README.md")
    for block in re.findall(r"```python\n(.*?)```", path.read_text(), re.S)
]


@pytest.mark.parametrize("block", BLOCKS)
def test_block(block):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, "README.md", "exec"), {})
    wanted = re.findall(r"#> (.*)", block)
    assert printed.getvalue().splitlines() == wanted


def test_files_of_the_reading_path_exist():
    paths = re.findall(r"^\d+\. `([^`]+)`", TEXT, re.M)
    assert len(paths) == 10
    for path in paths:
        assert (ROOT / path).exists(), path
