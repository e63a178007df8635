"""Optimisers: which parameters, which state, which step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

import kernels
from kernels.core import checks
from layers.parameter import Parameter


class Optimizer:
    """Base of all optimisers.

    Parameters
    ----------
    parameters : iterable of Parameter
        What ``model.parameters()`` returns; each once.
    lr : float
        Learning rate; an attribute, so that a schedule may set it.
    """

    STATE: tuple[str, ...] = ()  # arrays kept for each parameter, by PyTorch's names

    def __init__(self, parameters: Iterable[Parameter], lr: float) -> None:
        if isinstance(parameters, Parameter) or not isinstance(parameters, Iterable):
            raise TypeError(f"parameters: expected an iterable of Parameter, got {parameters!r}")
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError("parameters: expected at least one Parameter, got none")
        for each in self.parameters:
            if not isinstance(each, Parameter):
                raise TypeError(f"parameters: expected Parameters, got {type(each).__name__}")
        if len({id(each) for each in self.parameters}) < len(self.parameters):
            raise ValueError("parameters: expected each Parameter once, got one twice")
        self.lr = checks.real("lr", lr, 0)
        self.steps = [0] * len(self.parameters)
        self.state: list[dict[str, np.ndarray]] = [{} for _ in self.parameters]

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for i, parameter in enumerate(self.parameters):
            if parameter.grad is None:
                continue
            state = self.state[i]
            for name in self.STATE:
                if name not in state:
                    state[name] = np.zeros_like(parameter.data)
            self.update(parameter, self.steps[i] + 1, *(state[name] for name in self.STATE))
            self.steps[i] += 1

    def update(self, parameter: Parameter, step: int, *state: np.ndarray) -> None:
        """Take one parameter's step, the `step`-th of it."""
        raise NotImplementedError

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.zero_grad()

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return a copy of what the optimiser has gathered, as ``0.step``, ``0.exp_avg``: number, then name.

        Learning rate and the other options are the constructor's, and are not in it.
        """
        result: dict[str, np.ndarray] = {}
        for i, state in enumerate(self.state):
            result[f"{i}.step"] = np.array(self.steps[i], np.int64)
            result.update({f"{i}.{name}": value.copy() for name, value in state.items()})
        return result

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` gave; nothing changes unless everything fits.

        Raises
        ------
        TypeError, ValueError
            If keys, shapes or dtypes are not those of this optimiser's parameters.
        """
        self.steps, self.state = self.fit_state(state)

    def fit_state(self, state: Mapping[str, Any]) -> tuple[list[int], list[dict[str, np.ndarray]]]:
        """Validate what `load_state_dict` would do, and return the new steps and arrays."""
        if not isinstance(state, Mapping):
            raise TypeError(
                f"state: expected a mapping of names to arrays, got {type(state).__name__}"
            )
        steps, arrays, known = [], [], set()
        for i, parameter in enumerate(self.parameters):
            key = f"{i}.step"
            if key not in state:
                raise ValueError(
                    f"state: expected {key!r} for each of {len(self.parameters)} parameters, "
                    f"got the keys {list(state)}"
                )
            step = checks.index_array(f"state[{key!r}]", state[key], ())
            steps.append(checks.integer(f"state[{key!r}]", int(step), 0))
            names = {f"{i}.{name}": name for name in self.STATE}
            there = [key for key in names if key in state]
            if (steps[i] or there) and len(there) < len(names):
                raise ValueError(
                    f"state: expected {list(names)} after {steps[i]} steps, got {list(state)}"
                )
            fit: Any = {"dtype": parameter.dtype, "shape": parameter.shape}
            arrays.append(
                {names[k]: checks.array(f"state[{k!r}]", state[k], **fit).copy() for k in there}
            )
            known |= {key, *names}
        if unexpected := [key for key in state if key not in known]:
            raise ValueError(f"state: expected the keys of {type(self).__name__}, got {unexpected}")
        return steps, arrays


class SGD(Optimizer):
    """Gradient descent, with momentum and weight decay.

    Parameters
    ----------
    parameters : iterable of Parameter
    lr, momentum, dampening, weight_decay, nesterov
        As `kernels.sgd_step`.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(parameters, lr)
        self.momentum = checks.real("momentum", momentum, 0)
        self.dampening = checks.real("dampening", dampening)
        self.weight_decay = checks.real("weight_decay", weight_decay, 0)
        self.nesterov = checks.flag("nesterov", nesterov)
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError(
                "nesterov: expected a momentum above 0 and no dampening with it, "
                f"got momentum {momentum} and dampening {dampening}"
            )
        if momentum:
            self.STATE = ("momentum_buffer",)

    def update(self, parameter: Parameter, step: int, *state: np.ndarray) -> None:
        """Take one parameter's step."""
        kernels.sgd_step(
            parameter.writable(),
            parameter.grad,
            *state,
            lr=self.lr,
            momentum=self.momentum,
            dampening=self.dampening,
            weight_decay=self.weight_decay,
            nesterov=self.nesterov,
            first=step == 1,
        )


class Adam(Optimizer):
    """Adam: steps scaled by the gradient's moving mean and mean square.

    Parameters
    ----------
    parameters : iterable of Parameter
    lr, betas, eps, weight_decay
        As `kernels.adam_step`.
    """

    STATE = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr)
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise TypeError(f"betas: expected two numbers, got {betas!r}")
        self.betas = tuple(checks.real("betas", beta, 0, below=1) for beta in betas)
        self.eps = checks.real("eps", eps, 0)
        self.weight_decay = checks.real("weight_decay", weight_decay, 0)

    def update(self, parameter: Parameter, step: int, *state: np.ndarray) -> None:
        """Take one parameter's step."""
        self._update(kernels.adam_step, parameter, step, state)

    def _update(self, function: Any, parameter: Parameter, step: int, state: Any) -> None:
        function(
            parameter.writable(),
            parameter.grad,
            *state,
            step=step,
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            weight_decay=self.weight_decay,
        )


class AdamW(Adam):
    """Adam with weight decay on the parameter itself.

    Parameters
    ----------
    parameters : iterable of Parameter
    lr, betas, eps, weight_decay
        As `kernels.adamw_step`.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def update(self, parameter: Parameter, step: int, *state: np.ndarray) -> None:
        """Take one parameter's step."""
        self._update(kernels.adamw_step, parameter, step, state)
