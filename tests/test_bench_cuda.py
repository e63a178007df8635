"""The bench on a CUDA device, without one: what it says, what it checks in the simulator, what it would print."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

import kernels
from bench import calls, cases, check, cli
from bench.cuda import command as command_module
from bench.cuda import device, torch_peer
from bench.peers import CannotDo
from kernels.core.cuda.compiler import standing_in
from kernels.core.cuda.launch import compile_only, described
from tests import simulator


def command(*words, **environment):
    unset = {"CUDA_VISIBLE_DEVICES": "-1", "NUMBA_ENABLE_CUDASIM": "0"}
    return subprocess.run(
        [sys.executable, "-m", "bench", *words, "--target", "cuda"],
        env={**os.environ, **unset, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_without_a_device_it_says_in_a_line_what_is_missing():
    done = command("matmul", "conv2d")
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("--target cuda: no CUDA device answers")
    assert "loopwise[cuda]" in line
    listed = command("matmul", "--list")
    assert listed.returncode == 0
    assert "square-4096" in listed.stdout


def test_in_the_simulator_it_checks_and_does_not_time():
    done = command("matmul", "conv2d", "--rung", "naive", NUMBA_ENABLE_CUDASIM="1")
    assert done.returncode == 0, done.stdout + done.stderr
    for ladder, directions in (("matmul", "forward, da, db"), ("conv2d", "forward, dx, dw, db")):
        assert f"{ladder} naive, float32: correct in {directions}, on 4 odd problems" in done.stdout
    assert "In the simulator a time means nothing: none was taken." in done.stdout
    assert "GFLOP/s" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["matmul", "--target", "cuda", "--threads", "2"], "--target cuda: goes with neither"),
        (["matmul", "--target", "cuda", "--peers"], "--target cuda: goes with neither"),
        (["matmul", "--dtype", "tf32"], "--dtype tf32: for --target cuda alone"),
        (["matmul", "--target", "rocm"], "--target"),
    ],
)
def test_command_refuses(arguments, match, capsys):
    with pytest.raises(SystemExit):
        cli.main(arguments)
    assert match in capsys.readouterr().err


@pytest.mark.parametrize("dtype", ["float16", "tf32"])
def test_dtype_that_the_device_cannot_multiply(dtype, capsys):
    options = cli.arguments(["matmul", "--target", "cuda", "--dtype", dtype])
    with standing_in((7, 5)), pytest.raises(SystemExit):
        command_module.run(options, [], Console(), "")
    assert f"--dtype {dtype}: needs compute capability 8.0" in capsys.readouterr().err


def test_cases_for_a_device():
    names = {each.ladder for each in cases.CUDA}
    assert names == {each.name for each in kernels.ladders("cuda")}
    for ladder in names:
        mine = [each for each in cases.CUDA if each.ladder == ladder]
        assert {each.real for each in mine} == {False, True}
        assert len({each.name for each in mine}) == len(mine)
        assert cases.odd_cases(ladder)
    resnet = cases.find(["resnet"], ["real"], "cuda")
    assert {each.shapes[0][0] for each in resnet} == {64}
    assert cases.find(["matmul"], ["square-4096"], "cuda")[0].shapes == ((4096,) * 2,) * 2
    with pytest.raises(ValueError, match="NAME"):
        cases.find(["pool"], target="cuda")


def stand_in(folder, wrong=False):
    """In the simulator: the whole command, with a clock that always says a millisecond."""
    from pathlib import Path

    from bench import report
    from bench.cuda import command, race

    class Clock:
        def __init__(self, call):
            call()

        def sample(self, seconds):
            return [1e-3]

    folder = Path(folder)
    readme = folder / "kernels" / "gemm" / "README.md"
    readme.parent.mkdir(parents=True)
    readme.write_text("before\n<!-- bench matmul cuda -->\n<!-- end -->\nafter\n")
    report.ROOT = folder
    cases.CUDA = [cases.Case("matmul", "small", ((5, 7), (7, 6)), real=True)]
    device.Queue = Clock
    device.ceilings = lambda kind: {"gflops": 1000.0, "gbytes": 100.0}
    device.launch_cost = lambda: device.Launch(20.0, 2.0)
    device.about = lambda limits, cost: {
        "device": "a device of paper", "capability": [9, 0],
        "peak_gflops": 1000.0, "copy_gbytes": 100.0, "launch_host_us": 20.0, "launch_device_us": 2.0,
    }  # fmt: skip
    command.SIMULATED = False
    if wrong:
        race.APART = {"float32": -1.0}
    words = ["matmul", "--target", "cuda", "--rung", "naive", "--readme", "--rounds", "1"]
    return cli.main([*words, "--json", str(folder / "result.json")]), readme.read_text()


@pytest.fixture
def worker():
    worker = simulator.Simulator()
    yield worker
    worker.close()


def test_tables_and_files(worker, tmp_path):
    code, readme = worker.ask(stand_in, str(tmp_path))
    assert code == 0
    assert readme.startswith("before\n<!-- bench matmul cuda -->\nMade by `python -m bench matmul")
    assert "a device of paper" in readme
    assert "1000 GFLOP/s" in readme
    assert "| naive | **1.000" in readme or "| naive | 1.000" in readme
    assert readme.endswith("<!-- end -->\nafter\n")
    result = json.loads((tmp_path / "result.json").read_text())
    assert [each["direction"] for each in result["races"]] == ["forward", "da", "db"]
    assert {each["target"] for each in result["races"]} == {"cuda"}
    assert result["races"][0]["rungs"][0]["seconds"] == 1e-3
    assert result["machine"]["launch_host_us"] == 20.0
    assert all(each["error"] <= 1 for each in result["machine"]["verdicts"])


def test_rung_that_is_wrong_is_not_timed(worker, tmp_path):
    code, _ = worker.ask(stand_in, str(tmp_path), True)
    assert code == 1
    result = json.loads((tmp_path / "result.json").read_text())
    rows = [row for each in result["races"] for row in each["rungs"]]
    assert all(row["seconds"] is None and row["note"] == "wrong: not timed" for row in rows)


def test_ceiling_is_registers_alone():
    with compile_only((9, 0)) as launched:
        device.multiply_adds(described((2,)), 10, described((256,)))
    (ptx,) = (each.ptx for each in launched)
    assert ptx.count("fma.rn.f32") >= device.UNROLLED
    assert ".local" not in ptx


@pytest.mark.parametrize(
    ("name", "kind"), [("tf32", "tf32"), ("float16", "f16"), ("bfloat16", "bf16")]
)
def test_ceiling_of_tensor_cores_is_registers_alone(name, kind):
    with compile_only((9, 0)) as launched:
        like = described((2,), device.kind(name).dtype)
        device.tensor_multiply_adds(like, 10, described((256,)))
    (ptx,) = (each.ptx for each in launched)
    terms = 32 // like.dtype.itemsize
    assert ptx.count(f"mma.sync.aligned.m16n8k{terms}.row.col.f32.{kind}") >= device.CHAINS
    assert ".local" not in ptx


@pytest.mark.parametrize("ladder", ["matmul", "linear", "conv2d"])
def test_peer_computes_what_the_reference_does(ladder, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(device, "torch", lambda: torch)
    for case in cases.odd_cases(ladder):
        directions = kernels.ladder(ladder).directions
        options = {key: value for key, value in case.options.items() if key != "activation"}
        symmetric = not isinstance(options.get("padding", 0), tuple)
        for direction in directions if symmetric and case.name != "batch" else ():
            arrays, kept = calls.inputs(ladder, direction, case.arrays(np.float32), options)
            judged = calls.reference(ladder, direction, arrays, kept)
            tensors = tuple(torch.from_numpy(each) for each in arrays)
            for name in torch_peer.PEERS if ladder == "conv2d" else torch_peer.PEERS[:1]:
                got = torch_peer.call(name, ladder, direction, tensors, kept)()
                assert check.ratio(got.numpy(), judged) <= 1
    with pytest.raises(CannotDo):
        torch_peer.call("torch channels_last", "matmul", "forward", (), {})


def test_halves_are_judged_by_their_float32_sums():
    value = np.array([1.0, 1000.0, 3.0])
    judged = value, np.abs(value), 4
    assert check.ratio(value.astype(np.float16), judged) <= 1
    between = value + np.array([0.0, 0.24, 0.0])  # neighbours of 16 bits are a half apart there
    assert check.ratio(value.astype(np.float16), (between, *judged[1:])) <= 1
    assert check.ratio(np.float16([1.0, 1000.5, 3.0]), judged) > 1
    assert check.ratio(np.float16([1.002, 1000.0, 3.0]), judged) > 1
    assert check.ratio(np.float16([np.inf, 1000.0, 3.0]), judged) == float("inf")
    ml_dtypes = pytest.importorskip("ml_dtypes")
    assert check.ratio(value.astype(ml_dtypes.bfloat16), judged) <= 1
    assert check.ratio(np.array([1.0, 1016.0, 3.0], ml_dtypes.bfloat16), judged) > 1
