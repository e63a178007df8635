"""What recurrent layers and cells share: the parameters of one direction, and their way through its kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

import kernels
from kernels.core import checks
from layers.layer import Layer
from layers.parameter import Parameter, packed, uniform

State = tuple[Any, ...]  # h, or h and c: one array for each of a kind's states

# a kernel's argument, and PyTorch's name for the parameter
NAMES = {
    "w_ih": "weight_ih",
    "w_hh": "weight_hh",
    "b_ih": "bias_ih",
    "b_hh": "bias_hh",
    "w_proj": "weight_hr",
}


class Gated(Layer):
    """Base of RNN, LSTM, GRU and their cells: parameters by PyTorch's names, run by the kernel `OP`."""

    OP: str
    GATES: int  # blocks of hidden_size rows in a weight
    STATES: tuple[str, ...]  # what is handed on from step to step

    input_size: int
    hidden_size: int
    bias: bool
    proj_size = 0
    dtype: np.dtype
    options: dict[str, Any]  # of the kernel, beside its arrays

    def _sizes(self, input_size: Any, hidden_size: Any, bias: Any, **options: Any) -> None:
        self.input_size = checks.integer("input_size", input_size, 1)
        self.hidden_size = checks.integer("hidden_size", hidden_size, 1)
        self.bias = checks.flag("bias", bias)
        if "nonlinearity" in options:
            checks.choice("nonlinearity", options["nonlinearity"], ("tanh", "relu"))
        self.options = options

    def _draw(self, place: str, inputs: int, rng: np.random.Generator, dtype: np.dtype) -> None:
        """Set the parameters of one direction, whose names end in `place`: U(±1/√hidden_size)."""
        self.dtype, rows = dtype, self.GATES * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "w_ih": (rows, inputs),
            "w_hh": (rows, self.proj_size or self.hidden_size),
        }
        if self.bias:
            shapes |= {"b_ih": (rows,), "b_hh": (rows,)}
        if self.proj_size:
            shapes["w_proj"] = (self.proj_size, self.hidden_size)
        for name, shape in shapes.items():
            setattr(self, NAMES[name] + place, uniform(rng, shape, self.hidden_size, dtype))

    def _own(self, place: str) -> dict[str, Parameter]:
        """The parameters of one direction, by the kernel's names for them."""
        mine = vars(self)
        return {name: mine[key + place] for name, key in NAMES.items() if key + place in mine}

    def _run(
        self, place: str, x: np.ndarray, state: State | None, keep: bool, **options: Any
    ) -> tuple[np.ndarray, State, Any]:
        """Return y, the last state, and the kernel's cache where it is to be kept."""
        own = self._own(place)
        arrays: dict[str, Any] = {name: each.data for name, each in own.items()}
        if not (self.training or keep):
            weights = tuple(each for name, each in own.items() if name.startswith("w"))
            arrays |= dict.fromkeys(("w_hh", "w_proj") if self.proj_size else ("w_hh",))
            arrays["w_ih"] = packed(weights, self.OP)
        for name, value in zip(self.STATES, state or ()):
            arrays[f"{name}0"] = value
        function = getattr(kernels, self.OP)
        y, last, *cache = function(**arrays, x=x, **self.options, **options, return_cache=keep)
        return y, last if isinstance(last, tuple) else (last,), cache[0] if keep else None

    def _pull(
        self, place: str, dy: Any, cache: Any, state: State | None, wants_dx: bool
    ) -> tuple[Any, State]:
        """Add the parameters' gradients, return dx (None where it is not wanted) and the first state's."""
        own, first = self._own(place), tuple(f"{name}0" for name in self.STATES)
        needs = (*(("x",) if wants_dx else ()), *own, *first)
        incoming = {f"d{name}": value for name, value in zip(self.STATES, state or ())}
        function = getattr(kernels, f"{self.OP}_backward")
        grads = function(dy, cache, **incoming, needs=needs)
        for name, parameter in own.items():
            parameter.accumulate(getattr(grads, name))
        return grads.x if wants_dx else None, tuple(getattr(grads, name) for name in first)

    def _each(
        self, name: str, value: Any, shapes: list[tuple[int, ...]], gaps: bool = False
    ) -> State | None:
        """Return a state as the caller spells it, an array or (h, c), as a tuple of arrays that fit.

        Where `gaps` are allowed, one of a pair may be None.
        """
        if value is None:
            return None
        if len(self.STATES) == 1:
            names, value = [name], (value,)
        elif isinstance(value, tuple | list) and len(value) == len(self.STATES):
            names = [f"{name}[{i}]" for i in range(len(value))]
        else:
            came = (
                f"{len(value)} of them" if isinstance(value, tuple | list) else type(value).__name__
            )
            raise TypeError(f"{name}: expected ({', '.join(self.STATES)}), got {came}")
        return tuple(
            None if each is None and gaps else checks.array(which, each, None, self.dtype, shape)
            for which, each, shape in zip(names, value, shapes)
        )

    def _spelt(self, state: State) -> Any:
        """The opposite of `_each`."""
        return state if len(self.STATES) > 1 else state[0]
