"""The README's Python blocks run, and say what they print."""

import contextlib
import io
import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).resolve().parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.S)


@pytest.mark.parametrize("block", BLOCKS)
def test_block(block):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, "README.md", "exec"), {})
    wanted = re.findall(r"#> (.*)", block)
    assert printed.getvalue().splitlines() == wanted


def test_files_of_the_reading_path_exist():
    root = Path(__file__).resolve().parents[1]
    paths = re.findall(r"^\d+\. `([^`]+)`", TEXT, re.M)
    assert len(paths) == 10
    for path in paths:
        assert (root / path).exists(), path
