"""Rung and Ladder: one operation written several times, each one idea beyond the one it builds on.

The ladders are the registry that everything reads: the front doors choose a rung here, the tests
hold every rung to the family's reference, the bench times them, the READMEs list them. Adding a row
is all it takes for a rung to be dispatched, tested, timed and listed.
"""

from __future__ import annotations

import contextvars
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from kernels.core import checks, memory, precision, targets, threads
from kernels.core.device_array import DeviceArray

REMEMBERED = 4096  # choices that a ladder keeps
CUDA_FAMILIES = ("gemm", "conv")  # those with a folder cuda/, imported when it is first asked for


def _accepts(problem: Any, direction: str) -> str | None:
    return None


def _no_scratch(problem: Any, direction: str) -> int:
    return 0


@dataclass(frozen=True)
class Pack:
    """How a rung wants its weights for one direction.

    Parameters
    ----------
    size : callable (problem, direction) -> int
        Elements of the packed form, of the problem's dtype.
    run : compiled function
        Takes the job's `weights`, then `options`, then the array to fill.
    options : tuple
    """

    size: Callable[[Any, str], int]
    run: Callable
    options: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Rung:
    """One way to compute an operation.

    Parameters
    ----------
    name : str
        Its idea in a word: what ``algorithm=`` takes.
    idea : str
        What it changes against the rung it builds on, in a sentence.
    builds_on : str or None
        The name of the rung below; None for the first.
    target : {"cpu", "cuda"}
        Where it runs.
    run : mapping of direction to compiled function
        Directions are "forward" and a gradient's name: "dx", "dw", "db"; or "backward", where one sweep
        serves them all. The arguments are flat and
        the same on every rung of a ladder: arrays, numbers, tuples of ints, the output; then
        packed weights and scratch, for a rung that asks for them.
    refuses : callable (problem, direction) -> str or None
        Why it cannot do a problem; None if it can.
    cost : callable (problem, direction) -> float
        Its time in arbitrary units, the same on all rungs of a ladder. Reads shapes, options, dtype
        and vector width; never data or the thread count.
    scratch : callable (problem, direction) -> int or (int, int)
        Elements of scratch it needs, of the problem's dtype; 0 for none. Or a pair: pieces of work, and
        elements for each; the kernel's scratch then has two axes.
    pack : mapping of direction to Pack
        Where it wants its weights in an order of its own.
    growth : callable (problem, direction) -> float, optional
        For a rung that is no plain sum of products: its rounding error is at most so many times what such
        a sum's may be, on the largest sum of the output. None for a problem in which it is one.
    """

    name: str
    idea: str
    builds_on: str | None
    run: Mapping[str, Callable]
    cost: Callable[[Any, str], float]
    target: str = "cpu"
    refuses: Callable[[Any, str], str | None] = _accepts
    scratch: Callable[[Any, str], int | tuple[int, int]] = _no_scratch
    pack: Mapping[str, Pack] = field(default_factory=dict)
    growth: Callable[[Any, str], float | None] | None = None

    def needed(self, problem: Any, direction: str) -> int:
        """Elements of scratch and of packed weights together."""
        pack = self.pack.get(direction)
        packed = pack.size(problem, direction) if pack else 0
        return int(np.prod(self.scratch(problem, direction))) + packed

    def source(self, direction: str = "forward") -> str:
        """Python source of the loop that serves `direction`."""
        kernel = self.run[direction]
        if isinstance(kernel, partial):  # a composition over another ladder's loop
            kernel = kernel.args[0]
        return inspect.getsource(getattr(kernel, "py_func", kernel))


class Plan(NamedTuple):
    """What a call would do.

    Parameters
    ----------
    problem : the family's problem
        Shapes and options.
    direction : str
    rung : Rung
        The one that would run.
    flops, bytes : int
        Multiplies and adds, and the least traffic with memory.
    costs : dict of str to float or str
        What each rung that accepts is expected to cost, and why the others refuse.
    """

    problem: Any
    direction: str
    rung: Rung
    flops: int
    bytes: int
    costs: dict[str, float | str]


class _Planned(Exception):
    """Carries a plan out of a call that must go no further."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan


_planning: contextvars.ContextVar[bool] = contextvars.ContextVar("planning", default=False)


@dataclass
class Ladder:
    """The rungs of one operation, from the formula up.

    Iterates over its rungs; ``ladder["naive"]`` is one of them; printing it lists them.

    Parameters
    ----------
    name : str
        The public function: ``kernels.<name>``.
    family : str
        The folder: ``kernels.<family>``.
    directions : tuple of str
        "forward" and the gradients.
    rungs : list of Rung
    target : {"cpu", "cuda"}
        Where all of its rungs run.
    """

    name: str
    family: str
    directions: tuple[str, ...]
    rungs: list[Rung] = field(default_factory=list)
    target: str = "cpu"
    _chosen: dict[tuple, Rung] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for rung in self.rungs:
            self._check(rung)
        _ladders[self.name, self.target] = self

    def add(self, rung: Rung) -> None:
        """Put a rung on top."""
        self._check(rung)
        self.rungs.append(rung)

    def _check(self, rung: Rung) -> None:
        unknown = set(rung.run) - set(self.directions)
        if unknown or not rung.run:
            raise ValueError(
                f"rung {rung.name!r} of {self.name}: directions {sorted(unknown)} are not the ladder's"
            )
        if rung.target != self.target:
            raise ValueError(
                f"rung {rung.name!r} of {self.name}: for {rung.target!r}, on a ladder for {self.target!r}"
            )

    def __iter__(self) -> Iterator[Rung]:
        return iter(self.rungs)

    def __getitem__(self, name: str) -> Rung:
        for rung in self.rungs:
            if rung.name == name:
                return rung
        raise ValueError(
            f"algorithm: expected 'auto' or one of {[r.name for r in self.rungs]} for {self.name}, got {name!r}"
        )

    def __str__(self) -> str:
        where = "" if self.target == "cpu" else f" on {self.target}"
        lines = [f"{self.name}{where} ({', '.join(self.directions)})"]
        for rung in self.rungs:
            below = f"on {rung.builds_on}" if rung.builds_on else "the formula"
            lines.append(f"  {rung.name:<12} {below:<14} {rung.idea}  [{', '.join(rung.run)}]")
        return "\n".join(lines)

    def reference(self, direction: str = "forward") -> Callable:
        """NumPy oracle for a direction: it takes what the public function takes."""
        module = importlib.import_module(f"kernels.{self.family}.reference")
        suffix = "" if direction == "forward" else f"_{direction}"
        return getattr(module, self.name + suffix)

    def plan(self, *args: Any, direction: str = "forward", **options: Any) -> Plan:
        """Say what the public function would do with these arguments, without doing it.

        Parameters
        ----------
        *args, **options
            What ``kernels.NAME`` takes, or ``kernels.NAME_backward`` for a gradient.
        direction : str
            "forward", or the gradient: "dx", "dw", "db"; "backward" where all come from one sweep.

        Raises
        ------
        TypeError, ValueError
            As the public function; also if `direction` is not one of the ladder's.
        """
        checks.choice("direction", direction, self.directions)
        suffix = "" if direction == "forward" else "_backward"
        function = getattr(importlib.import_module("kernels"), self.name + suffix)
        names_one = direction not in ("forward", "backward")
        if names_one and "needs" in inspect.signature(function).parameters:
            options = {**options, "needs": (direction.removeprefix("d"),)}
        token = _planning.set(True)
        try:
            function(*args, **options)
        except _Planned as planned:
            return planned.plan
        finally:
            _planning.reset(token)
        raise RuntimeError(f"{self.name} chose no rung")

    def refusal(self, rung: Rung, problem: Any, direction: str) -> str | None:
        """Why `rung` cannot do this problem now, or None."""
        if direction not in rung.run:
            return f"it has no {direction}, only {', '.join(rung.run)}"
        return rung.refuses(problem, direction) or self._over_limit(rung, problem, direction)

    def _over_limit(self, rung: Rung, problem: Any, direction: str) -> str | None:
        """Why a rung that could do the problem may not: its scratch. None if it may."""
        limit = memory.workspace_limit()
        if limit is None or direction not in rung.run or rung.refuses(problem, direction):
            return None
        needed = rung.needed(problem, direction) * problem.itemsize
        if needed > limit:
            return f"it needs {needed:,} bytes of scratch, and the workspace limit is {limit:,}"
        return None

    def serving(self, problem: Any) -> Ladder:
        """Return the ladder that serves a problem: this one, or its twin for the device where the problem lives."""
        place = "cpu" if getattr(problem, "capability", None) is None else "cuda"
        return self if place == self.target else ladder(self.name, place)

    def choose(self, problem: Any, direction: str = "forward", algorithm: str = "auto") -> Rung:
        """Pick the accepting rung of least cost, or the one asked for.

        Raises
        ------
        ValueError
            If `algorithm` is no rung of this ladder, or that rung cannot do the problem: with its
            reason; if no rung can.
        MemoryError
            If none can within the workspace limit.
        """
        serving = self.serving(problem)
        if serving is not self:
            return serving.choose(problem, direction, algorithm)
        rung = self._choose(problem, direction, algorithm)
        if _planning.get():
            costs = {
                each.name: self.refusal(each, problem, direction) or each.cost(problem, direction)
                for each in self.rungs
            }
            flops, traffic = problem.flops(direction), problem.bytes(direction)
            raise _Planned(Plan(problem, direction, rung, flops, traffic, costs))
        return rung

    def _choose(self, problem: Any, direction: str, algorithm: str) -> Rung:
        if algorithm != "auto":
            rung = self[algorithm]
            reason = self.refusal(rung, problem, direction)
            if reason is not None:
                raise ValueError(
                    f"algorithm: {algorithm!r} cannot do {direction} of this {self.name}: {reason}"
                )
            return rung
        # choosing takes longer than a small problem: the answer is kept, with all that it hangs on
        key = (problem, direction, len(self.rungs), memory.workspace_limit(), precision.level())
        best = self._chosen.get(key)
        if best is None:
            if len(self._chosen) >= REMEMBERED:
                self._chosen.clear()
            best = self._chosen[key] = self._cheapest(problem, direction)
        return best

    def _cheapest(self, problem: Any, direction: str) -> Rung:
        best, least = None, float("inf")
        for rung in self.rungs:
            if self.refusal(rung, problem, direction) is None:
                cost = rung.cost(problem, direction)
                if best is None or cost < least:
                    best, least = rung, cost
        if best is None:
            reasons = "; ".join(
                f"{r.name}: {self.refusal(r, problem, direction)}" for r in self.rungs
            )
            kind = (
                MemoryError
                if any(self._over_limit(r, problem, direction) for r in self.rungs)
                else ValueError
            )
            raise kind(f"no rung of {self.name} can do {direction} of {problem}: {reasons}")
        return best

    def compute(
        self,
        job: Job,
        *,
        algorithm: str = "auto",
        out: np.ndarray | None = None,
        inputs: Sequence[np.ndarray] = (),
    ) -> np.ndarray:
        """Choose a rung for one job, allocate its output (or check the caller's), run it.

        `inputs` are arrays beside the job's own that `out` must not overlap.
        """
        rung = self.choose(job.problem, job.direction, algorithm)
        result = job.output(out, inputs)
        self._run(rung, job, result)
        return result

    def gradients(
        self, jobs: Mapping[str, Job], needs: Any, *, algorithm: str = "auto", out: Any = None
    ) -> dict[str, np.ndarray | None]:
        """Compute the gradients that `needs` names, None for the others.

        All rungs are chosen and all of the caller's outputs checked before the first is written.
        """
        needs = checks.needs(needs, tuple(jobs))
        given = checks.outs(out, needs)
        rungs = {n: self.choose(jobs[n].problem, jobs[n].direction, algorithm) for n in needs}
        taken = [x for job in jobs.values() for x in job.arrays]
        for name in needs:
            if given[name] is not None:
                given[name] = jobs[name].output(given[name], taken)
                taken.append(given[name])
        results: dict[str, np.ndarray | None] = dict.fromkeys(jobs)
        for name in needs:
            result = jobs[name].output(given[name], ())
            self._run(rungs[name], jobs[name], result)
            results[name] = targets.owner(result)
        return results

    def _run(self, rung: Rung, job: Job, result: np.ndarray) -> None:
        args = (*job.args, result if job.view is None else result.reshape(job.view))
        if job.direction in rung.pack:
            args = (*args, self._packed(rung, job))
        scratch = rung.scratch(job.problem, job.direction)
        if scratch:
            args = (*args, memory.scratch(scratch, job.problem.dtype, result))
        threads.run(rung.run[job.direction], args, job.problem.work(job.direction))

    def _packed(self, rung: Rung, job: Job) -> np.ndarray:
        pack = rung.pack[job.direction]

        def make() -> np.ndarray:
            packed = memory.empty(pack.size(job.problem, job.direction), job.problem.dtype)
            threads.run(pack.run, (*job.weights, *pack.options, packed), packed.size)
            return packed

        return make() if job.packed is None else job.packed.form((rung.name, job.direction), make)


@dataclass(frozen=True, eq=False)
class Job:
    """One direction of one problem, with the arguments that its loop takes before the output.

    Parameters
    ----------
    direction : str
    problem : the family's problem
    args : tuple
        Flat arguments up to the output.
    shape : tuple of int
        The output's, as the caller sees it; its dtype is the problem's unless `dtype` is given.
    view : tuple of int, optional
        The shape in which the loop sees it.
    weights : tuple
        What a rung's packing takes: the weights, and options.
    packed : Packed, optional
        Keeps the weights' packed forms from call to call.
    """

    direction: str
    problem: Any
    args: tuple[Any, ...]
    shape: tuple[int, ...]
    view: tuple[int, ...] | None = None
    dtype: Any = None
    weights: tuple[Any, ...] = ()
    packed: Any = None

    @property
    def arrays(self) -> list[Any]:
        """The arrays among its arguments."""
        return [x for x in self.args if isinstance(x, np.ndarray | DeviceArray)]

    def output(self, out: np.ndarray | None, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """The caller's output if it fits, or a fresh one."""
        dtype = self.problem.dtype if self.dtype is None else self.dtype
        if out is None:
            return memory.beside(self.arrays[0], self.shape, dtype)
        return checks.out(out, self.shape, dtype, [*self.arrays, *inputs])


_ladders: dict[tuple[str, str], Ladder] = {}


def ladder(name: str, target: str = "cpu") -> Ladder:
    """Return the ladder of a public operation: names, ideas, what builds on what, source, costs.

    Parameters
    ----------
    name : str
        The public function.
    target : {"cpu", "cuda"}
        Where its rungs run. Those for CUDA need the package numba-cuda, but no device.

    Raises
    ------
    ValueError
        If there is no such operation, or it has no rungs for `target`; the message lists those that exist.
    RuntimeError
        If `target` is "cuda" and the package is not installed.
    """
    known = _ladders.get((name, target)) if {type(name), type(target)} == {str} else None
    if known is not None:
        return known
    checks.choice("target", target, ("cpu", "cuda"))
    found = {each.name for each in ladders(target)}
    if not isinstance(name, str) or name not in found:
        raise ValueError(f"name: expected one of {sorted(found)} for {target}, got {name!r}")
    return _ladders[name, target]


def ladders(target: str = "cpu") -> tuple[Ladder, ...]:
    """All ladders for a target, by family and name."""
    if target == "cuda":
        for family in CUDA_FAMILIES:
            importlib.import_module(f"kernels.{family}.cuda.ladder")
    found = [each for each in _ladders.values() if each.target == target]
    return tuple(sorted(found, key=lambda each: (each.family, each.name)))
