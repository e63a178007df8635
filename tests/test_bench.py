"""The bench: what it finds, what it prints, what it writes, what it refuses."""

import json
import re
import sys
import time

import numpy as np
import pytest

import kernels
from bench import calls, cases, check, choice, cli, clock, peers, race, report, summary
from bench.ceilings import measure
from kernels.core.precision import strict


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(clock, "SLICE", 0.0)
    monkeypatch.setattr(clock, "REST", 0.0)


@pytest.fixture(autouse=True)
def same_ceilings(monkeypatch):
    monkeypatch.setattr("bench.ceilings.measure", lambda *_: {"gflops": 100.0, "gbytes": 10.0})


def test_every_ladder_has_a_small_and_a_real_case():
    for ladder in kernels.ladders():
        mine = [each for each in cases.CASES if each.ladder == ladder.name]
        assert {each.real for each in mine} == {False, True}, ladder.name
        assert len({each.name for each in mine}) == len(mine)
        assert not {each.group for each in mine} & {each.name for each in mine}


def test_find_by_ladder_family_and_case():
    assert {each.ladder for each in cases.find(["dropout"])} == {"dropout"}
    assert [each.name for each in cases.find(["conv2d"], ["stem"])] == ["stem"]
    assert all(each.real for each in cases.find([], ["real"]))
    assert len(cases.find([], ["all"])) == len(cases.CASES)
    found = cases.find(["conv2d"], ["batch-1", "stem"])
    assert [each.name for each in found] == [
        "resnet-56-b1", "resnet-28-b1", "resnet-14-b1", "resnet-7-b1", "stem",
    ]  # fmt: skip
    depthwise = cases.find(["depthwise"])
    assert depthwise
    assert {each.group for each in depthwise} == {"depthwise"}
    both = cases.find(["pool", "depthwise"], ["real"])
    assert all(each in both for each in depthwise)
    assert {each.ladder for each in both} >= {"max_pool2d", "avg_pool2d", "conv2d"}
    with pytest.raises(ValueError, match=r"NAME.*conv2d.*'conv5d'"):
        cases.find(["conv5d"])
    with pytest.raises(ValueError, match=r"--case.*resnet-56.*'huge'"):
        cases.find(["conv2d"], ["huge"])


@pytest.mark.parametrize("ladder", [each.name for each in kernels.ladders()])
def test_plan_says_what_a_call_would_do(ladder):
    case = cases.find([ladder])[0]
    plan = kernels.ladder(ladder).plan(*case.arrays(np.float32), **case.options)
    assert plan.flops > 0
    assert plan.bytes > 0
    assert set(plan.costs) == {rung.name for rung in kernels.ladder(ladder)}
    accepting = {name: cost for name, cost in plan.costs.items() if not isinstance(cost, str)}
    assert plan.rung.name == min(accepting, key=accepting.get)


def test_plan_refuses_as_the_function_does(rng):
    x, w = rng.standard_normal((1, 2, 3, 3)), rng.standard_normal((1, 2, 5, 5))
    with pytest.raises(ValueError, match="kernel"):
        kernels.ladder("conv2d").plan(x, w)
    with pytest.raises(ValueError, match=r"direction.*'dz'"):
        kernels.ladder("conv2d").plan(x, w, direction="dz")


def test_command_prints_the_ladder_and_writes_json(capsys, tmp_path):
    path = tmp_path / "result.json"
    assert (
        cli.main(
            [
                "relu",
                "conv2d",
                "--case",
                "digits-1",
                "--case",
                "small",
                "--rounds",
                "1",
                "--json",
                str(path),
            ]
        )
        == 0
    )
    printed = capsys.readouterr().out
    for word in ("naive", "im2col", "with out=", "of ceiling", "GB/s", "conv2d dw", "←"):
        assert word in printed
    result = json.loads(path.read_text())
    assert result["machine"]["threads"] == kernels.get_num_threads()
    assert result["summary"] == []
    rows = [row for each in result["races"] for row in each["rungs"] if row["seconds"]]
    assert all(row["error"] <= 1 and row["seconds"] > 0 and row["out_seconds"] > 0 for row in rows)
    assert all(0 <= row["max_error"] < 1e-5 for row in rows)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["conv5d"], "NAME"),
        (["conv2d", "--case", "huge"], "--case"),
        (["conv2d", "--rung", "fast"], "--rung.*im2col"),
        (["relu", "--direction", "dw"], "--direction"),
        (["relu", "--threads", "0"], "threads"),
        (["relu", "--dtype", "float16"], "--dtype"),
        (["relu", "--rounds", "0"], "--rounds"),
        (["relu", "--choice", "--peers"], "--choice"),
    ],
)
def test_command_refuses(arguments, match, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert re.search(match, capsys.readouterr().err)


def test_a_wrong_rung_is_named_and_not_timed(capsys, monkeypatch):
    real = race.calls.ours

    def ours(*args, algorithm="auto", **options):
        result = real(*args, algorithm=algorithm, **options)
        return result + 1 if algorithm == "parallel" else result

    monkeypatch.setattr(race.calls, "ours", ours)
    assert cli.main(["relu", "--direction", "forward", "--rounds", "1"]) == 1
    assert "wrong: not timed" in capsys.readouterr().out


def test_missing_peers_are_named(capsys, monkeypatch):
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    assert cli.main(["relu", "--direction", "forward", "--rounds", "1", "--peers"]) == 0
    printed = capsys.readouterr().out
    for name in ("torch", "onnxruntime", "jax"):
        assert f"peer {name}: not installed (python -m pip install {name}" in printed


@pytest.mark.parametrize("name", peers.PEERS)
def test_peer_computes_the_same(name):
    if peers.missing(name):
        pytest.skip(f"{name} is not installed")
    peer = peers.Peer(name, 1)
    try:
        for ladder in ("conv2d", "avg_pool2d", "relu"):
            case = cases.find([ladder])[0]
            one = race.run(case, "forward", np.float32, rung="naive", peers=[peer], rounds=1)
            row = one.peers[0]
            assert row.seconds or row.note == "its layout is for images", row
        for options in (
            {"stride": 2, "padding": 1, "dilation": 2, "groups": 2},
            {"stride": (1, 2), "padding": (0, 1), "dilation": (2, 1)},
        ):
            shapes = ((2, 4, 9, 10), (6, 4 // options.get("groups", 1), 2, 3), (6,))
            arrays = cases.Case("conv2d", "odd", shapes).arrays(np.float32)
            got = peer.prepare("conv2d", "forward", arrays, options, None)
            assert check.ratio(got, calls.reference("conv2d", "forward", arrays, options)) <= 1
        case = cases.Case("matmul", "transposed", ((5, 7), cases.Transposed((7, 6))))
        arrays = case.arrays(np.float32)
        assert arrays[1].flags.f_contiguous
        if "last" not in name:
            got = peer.prepare("matmul", "forward", arrays, {}, None)
            assert check.ratio(got, calls.reference("matmul", "forward", arrays, {})) <= 1
        with pytest.raises(peers.CannotDo, match=r"no such|its layout"):
            peer.prepare("no such", "forward", (np.ones(2),), {}, None)
    finally:
        peer.close()


def test_readme_tables_are_written_between_their_markers(tmp_path, monkeypatch):
    family = tmp_path / "kernels" / "conv"
    family.mkdir(parents=True)
    readme = family / "README.md"
    readme.write_text("before\n<!-- bench conv2d -->\nwhat was here\n<!-- end -->\nafter\n")
    monkeypatch.setattr(report, "ROOT", tmp_path)
    assert cli.main(["conv2d", "--case", "digits-1", "--rounds", "1", "--readme"]) == 0
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "what was here" not in text
    assert "`python -m bench conv2d --case digits-1 --rounds 1 --readme`" in text
    assert "| | forward | dx | dw | db |" in text
    readme.write_text("no markers")
    races = [race.run(cases.find(["conv2d"])[0], "db", np.float32, rounds=1)]
    with pytest.raises(ValueError, match=r"README.md: expected the markers <!-- bench conv2d -->"):
        report.write_readme(races, {}, "")


def test_clock_takes_turns_and_counts_right():
    order = []

    class One:
        def __init__(self, name, seconds):
            self.name, self.seconds = name, seconds

        def sample(self, seconds):
            order.append(self.name)
            return [self.seconds] * 3

    result = clock.medians({"a": One("a", 1.0), "b": One("b", 2.0)}, rounds=3)
    assert result == {"a": 1.0, "b": 2.0}
    assert order == ["a", "b"] * 3
    nap = clock.Local(lambda: time.sleep(0.003)).sample(0.02)
    assert min(nap) >= 0.003


def test_ceilings_are_positive():
    found = measure(np.float32, 1)
    assert found["gflops"] > 0.1
    assert found["gbytes"] > 0.1


def test_check_finds_what_is_wrong():
    value = np.array([1.0, np.nan, np.inf, 3.0])
    judged = (value, np.abs(np.nan_to_num(value)), 4)
    assert check.ratio(value.copy(), judged) == 0
    for index, wrong in [(0, 1.1), (0, np.nan), (1, 0.0), (2, -np.inf), (2, 5.0), (3, np.inf)]:
        got = value.copy()
        got[index] = wrong
        assert check.ratio(got, judged) > 1
    assert check.ratio(value[:3], judged) == np.inf


def test_check_with_growth_judges_by_the_largest_scale():
    value, scale = np.array([1.0, 1e-3, np.nan]), np.array([1.0, 1e-3, np.nan])
    got = np.array([1.0, 1e-3 + 1e-15, np.nan])
    assert check.ratio(got, (value, scale, 4)) > 0.5
    bound = 6 * np.finfo(np.float64).eps
    assert check.ratio(got, (value, scale, 4), 10.0) == pytest.approx(1e-15 / bound / 10, rel=1e-2)
    assert check.ratio(got + 1e-13, (value, scale, 4), 10.0) > 1
    for wrong in ([1.0, np.nan, np.nan], [1.0, 1e-3, 0.0]):
        assert check.ratio(np.array(wrong), (value, scale, 4), 1e9) > 1


def test_max_error_is_relative_to_the_largest_value():
    value = np.array([-4.0, 1.0, np.nan, np.inf])
    judged = (value, np.abs(value), 4)
    assert check.max_error(value, judged) == 0
    assert check.max_error(np.array([-4.0, 1.5, np.nan, np.inf]), judged) == 0.125
    assert check.max_error(np.array([-4.0, np.nan, np.nan, np.inf]), judged) == np.inf
    assert check.max_error(value[:2], judged) == np.inf
    zero = np.zeros((0, 3))
    assert check.max_error(zero, (zero, zero, 1)) == 0


def test_a_rung_that_states_its_growth_is_held_to_it(monkeypatch):
    case = cases.find(["conv2d"])[0]
    real, limit = race.calls.ours, 1e-4

    def ours(*args, algorithm="auto", **options):
        result = real(*args, algorithm=algorithm, **options)
        return result + limit * np.abs(result).max() if algorithm == "direct" else result

    monkeypatch.setattr(race.calls, "ours", ours)
    for stated, passes in [(None, False), (lambda problem, direction: 1000.0, True)]:
        rung = kernels.ladder("conv2d")["direct"]
        monkeypatch.setitem(rung.__dict__, "growth", stated)
        row = race.run(case, "forward", np.float32, rung="direct", rounds=1).rungs[0]
        assert (row.seconds is not None) is passes
        assert row.max_error == pytest.approx(limit, rel=0.01)


def test_weights_packed_once_are_timed_beside_the_plain_call(capsys, monkeypatch):
    case = cases.find(["conv2d"])[0]
    for direction in ("forward", "dx", "db"):
        one = race.run(case, direction, np.float32, rounds=1)
        for row in one.rungs:
            packs = direction in kernels.ladder("conv2d")[row.name].pack
            assert bool(row.packed_seconds) is packs
        report.show(one, {"gflops": 100.0, "gbytes": 10.0}, cli.Console(width=140))
        assert ("packed" in capsys.readouterr().out) is (direction != "db")

    def wrong(name, direction, arrays, options):
        x, w, b = arrays
        return (x, 2 * w, b), options

    monkeypatch.setattr(calls, "packed", wrong)
    one = race.run(case, "forward", np.float32, rung="direct", rounds=1)
    assert not one.correct
    assert one.rungs[0].seconds is None


def test_strict_leaves_out_what_bends_rounding(monkeypatch, tmp_path):
    seen, real = [], race.run

    def run(*args, **options):
        seen.append(strict())
        return real(*args, **options)

    monkeypatch.setattr(race, "run", run)
    path = tmp_path / "result.json"
    command = ["relu", "--direction", "forward", "--rounds", "1", "--json", str(path)]
    for option in (["--strict"], []):
        assert cli.main([*command, *option]) == 0
        assert json.loads(path.read_text())["machine"]["strict"] is bool(option)
    assert seen == [True, False]


def raced(case, direction, ours, **theirs):
    """Make a race up: seconds of the rung that is chosen (and packed), and of peers."""
    one = race.Race(case, direction, "float32", 1, 1)
    seconds, packed = ours if isinstance(ours, tuple) else (ours, None)
    one.rungs = [
        race.Row("naive", 9.0, max_error=1.0),
        race.Row("direct", seconds, None, packed, max_error=1e-7, chosen=True),
    ]
    one.peers = [race.Row(name, each, max_error=2e-7) for name, each in theirs.items()]
    return one


def test_summary_takes_the_best_peer_of_each_case(capsys):
    first, second = cases.find(["conv2d"], ["mnist"])
    last = {"torch channels_last": 2.0}
    races = [
        raced(first, "forward", (1.0, 0.5), torch=3.0, onnxruntime=1.0, **last),
        raced(second, "forward", 1.0, torch=8.0, jax=9.0, onnxruntime=None),
        raced(first, "dx", 1.0, torch=1.0, jax=0.5, **last),
        raced(first, "dw", 2.0, torch=1.0, **last),
        raced(first, "db", 1.0),
    ]
    found = {line.direction: line for line in summary.lines(races)}
    assert list(found) == ["forward", "dx", "dw", summary.BOTH]
    forward = found["forward"]
    assert (forward.group, forward.best.cases, forward.best.least_case) == ("mnist", 2, first.name)
    assert forward.best.mean == pytest.approx(4.0)  # of 2 (packed, and PyTorch's) and 8
    assert forward.best.least == 2.0
    assert (forward.torch.mean, forward.torch.error) == (pytest.approx(4.0), 1e-7)
    assert found["dx"].best.mean == 0.5
    assert found["dx"].torch.mean == 1.0
    assert found[summary.BOTH].best is None
    assert found[summary.BOTH].torch.cases == 1
    assert found[summary.BOTH].torch.mean == pytest.approx((2 + 1 + 1) / (1 + 1 + 2))
    report.show_lines(list(found.values()), cli.Console(width=140))
    assert f"2.00× {first.name}" in capsys.readouterr().out


def test_rung_auto_is_the_one_that_is_chosen():
    one = race.run(cases.find(["conv2d"])[0], "forward", np.float32, rung="auto", rounds=1)
    assert [row.chosen for row in one.rungs] == [True]


def test_choice_names_what_auto_takes_and_what_is_best(capsys, monkeypatch, tmp_path):
    (case,) = cases.find(["conv2d"], ["tiny"])
    costs = kernels.ladder("conv2d").plan(*case.arrays(np.float32), **case.options).costs
    costs = {name: cost for name, cost in costs.items() if not isinstance(cost, str)}
    picked, better, *_ = names = sorted(costs, key=costs.get)
    turns = []

    def medians(contestants, rounds):
        turns.append((set(contestants), rounds))
        return {name: {picked: 3.0, better: 2.0}.get(name, 16.0) for name in contestants}

    monkeypatch.setattr(clock, "medians", medians)
    path = tmp_path / "result.json"
    command = ["conv2d", "--choice", "--case", "tiny", "--direction", "forward"]
    assert cli.main([*command, "--json", str(path)]) == 0
    hopeful = {name for name in names if costs[name] <= race.HOPELESS * costs[picked]}
    assert "naive" not in hopeful
    assert turns == [(hopeful, 1), ({picked, better}, 7)]
    printed = capsys.readouterr().out
    assert "0 of 1 choices reach 0.9" in printed
    assert f"conv2d tiny forward: {picked}, 0.67 of {better}" in printed
    (found,) = json.loads(path.read_text())["choice"]
    assert (found["picked"], found["best"]) == (picked, better)
    assert found["ratio"] == pytest.approx(2 / 3)


def test_choice_is_judged_among_rungs_that_were_timed():
    one = raced(cases.find(["conv2d"])[0], "forward", 1.0)
    (found,) = choice.choices([one])
    assert (found.picked, found.best, found.ratio) == ("direct", "direct", 1.0)
    one.rungs[1].seconds = None
    assert choice.choices([one]) == []


def test_charts_are_drawn_a_group_each(tmp_path, monkeypatch, capsys):
    Image = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    first, second = cases.find(["conv2d"], ["mnist"])
    stem, *_ = cases.find(["conv2d"], ["stem"])
    races = [
        raced(first, "forward", (1e-3, 5e-4), torch=3e-3, jax=None),
        raced(second, "dx", 1e-3),
        raced(stem, "forward", 1e-3),
        raced(stem, "dx", None),
    ]
    races[-1].rungs[0].seconds = None
    monkeypatch.setattr(race, "run", lambda *args, **options: races.pop(0))
    command = ["conv2d", "--case", "mnist", "--case", "stem", "--direction", "forward"]
    from bench import chart

    written = chart.draw(list(races), {"gflops": 100.0, "gbytes": 10.0}, tmp_path / "charts")
    assert [path.name for path in written] == ["conv2d-mnist.png", "conv2d-stem.png"]
    for path in written:
        assert len(Image.open(path).convert("RGB").getcolors(1 << 20)) > 20  # no empty sheet
    assert cli.main([*command, "--plot", str(tmp_path)]) == 0
    assert "conv2d-stem.png" in capsys.readouterr().out
    assert (tmp_path / "conv2d-stem.png").exists()


def test_a_chart_without_matplotlib_is_refused_before_anything_is_timed(capsys, monkeypatch):
    monkeypatch.delattr("bench.chart", raising=False)
    monkeypatch.setitem(sys.modules, "bench.chart", None)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["relu", "--plot", "charts"])
    assert stopped.value.code == 2
    assert "matplotlib is not installed" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["torch", "onnxruntime"])
def test_peer_walks_the_same_sequence(name):
    if peers.missing(name):
        pytest.skip(f"{name} is not installed")
    peer = peers.Peer(name, 1)
    try:
        for ladder in calls.SEQUENCES:
            arrays = cases.find([ladder])[0].arrays(np.float32)
            for options in ({}, {"lengths": np.array([5, 2, 1, 4, 3, 5, 2, 1])}):
                got = peer.prepare(ladder, "forward", arrays, options, None)
                want = calls.ours(ladder, "forward", arrays, options, algorithm="naive")
                np.testing.assert_allclose(got, want, atol=1e-5)
            with pytest.raises(peers.CannotDo, match=r"with \['clip'\]"):
                peer.prepare(ladder, "forward", arrays, {"clip": 1.0}, None)
    finally:
        peer.close()


def test_a_sequence_is_trained_in_one_call():
    """Forward, cache and all gradients: against the oracle, and beside PyTorch where it is installed."""
    case = cases.find(["rnn"])[0]
    others = [] if peers.missing("torch") else [peers.Peer("torch", 1)]
    try:
        one = race.run(case, "training", np.float32, rung="auto", peers=others, rounds=1)
    finally:
        for peer in others:
            peer.close()
    assert one.correct
    assert all(row.seconds for row in (*one.rungs, *one.peers))
    problem = kernels.ladder("rnn").plan(*case.arrays(np.float32)).problem
    assert one.flops == problem.flops("forward") + problem.flops("backward")
    line = next(each for each in summary.lines([one]) or [None]) if others else None
    assert line is None or line.direction == "training"


def test_lengths_are_spelt_by_their_range():
    case = cases.find(["lstm"], ["lengths"])[0]
    assert re.search(r"lengths \d+…50", case.title)
