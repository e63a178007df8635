"""Front door of the family: conv2d and its gradients."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kernels.conv.ladder import CONV2D
from kernels.conv.problem import ConvProblem
from kernels.core import checks, geometry, memory, targets
from kernels.core.ladder import Job
from kernels.core.packing import Packed


class ConvGradients(NamedTuple):
    """Gradients of a convolution; None where one was not asked for."""

    x: np.ndarray | None
    w: np.ndarray | None
    b: np.ndarray | None


def conv2d(
    x: Any,
    w: Any,
    b: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    activation: str | None = None,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Convolve images with filters (cross-correlate, as is the custom of the field).

    y[n, k, oh, ow] = b[k] + Σ_crs x[n, c, oh·stride + r·dilation − pad, …] · w[k, c, r, s]

    Parameters
    ----------
    x : array (N, C, H, W), float32 or float64
        On a CUDA device, where all arrays of the call then are, float16 and bfloat16 too.
    w : array (K, C/groups, R, S), or what ``kernels.pack("conv2d", w, …)`` returned for these options (on the CPU)
    b : array (K,), optional
    stride, dilation : int or pair of int
        At least 1; ``dilation=1`` is dense.
    padding : int, pair of int, ((top, bottom), (left, right)), or str
        Zeros around the image. "valid": none; "same" (= "same_upper") and "same_lower": as many as
        give ⌈H / stride⌉ × ⌈W / stride⌉ outputs, an odd one after or before.
    groups : int
        Divides C and K: filter group g sees channel group g alone.
    activation : {None, "relu"}
        Applied to y before it is returned. Its gradient is the caller's: `kernels.relu_backward`.
    algorithm : str
        A rung of ``kernels.ladder("conv2d")``, or "auto".
    out : array, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    array (N, K, OH, OW)
        A numpy.ndarray, or on a CUDA device an array of x's kind.
        OH = ⌊(H + top + bottom − dilation·(R − 1) − 1) / stride⌋ + 1, OW likewise.

    Raises
    ------
    TypeError
        If an argument is no array, the dtypes differ or are others, or some arrays are on the CPU and some on
        a device.
    ValueError
        If shapes or options do not fit: the kernel larger than the padded input, groups that do not
        divide, a stride below 1, …

    Notes
    -----
    2·N·K·OH·OW·C/groups·R·S FLOPs. Beyond the output, only the rungs that say so need scratch. A 3×3
    convolution may be computed by Winograd's algorithm, whose rounding error is larger, though below 1e-4 of
    the output's scale; ``kernels.precision("strict")`` excludes it. On a CUDA device float16 and bfloat16 are
    summed in float32, and float32 is rounded to TF32 only where ``kernels.precision("tf32")`` or
    ``algorithm="tensor_core"`` asks for that.
    """
    x, w, b = targets.gather(x=x, w=w, b=b)
    x, w, packed, problem = _problem(x, w, stride, padding, dilation, groups)
    bias = (
        memory.zeros(problem.k, x.dtype, x)
        if b is None
        else checks.array("b", b, 1, x.dtype, (problem.k,))
    )
    relu = checks.choice("activation", activation, (None, "relu")) == "relu"
    shape = (problem.n, problem.k, problem.oh, problem.ow)
    args, weights = (x, w, bias, *problem.options, relu), (w, problem.groups)
    job = Job("forward", problem, args, shape, weights=weights, packed=packed)
    return targets.owner(CONV2D.compute(job, algorithm=algorithm, out=out))


def conv2d_backward(
    dy: Any,
    x: Any,
    w: Any,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    needs: tuple[str, ...] = ("x", "w", "b"),
    algorithm: str = "auto",
    out: Any = None,
) -> Any:
    """Gradients of `conv2d` with respect to data, weights and bias.

    Parameters
    ----------
    dy : array (N, K, OH, OW)
        Gradient of the loss with respect to the output.
    x, w : arrays
        The forward's inputs.
    stride, padding, dilation, groups
        The forward's options.
    needs : sequence drawn from ("x", "w", "b")
        The gradients wanted.
    algorithm : str
        A rung of ``kernels.ladder("conv2d")``, or "auto": each gradient picks its own fastest.
    out : array or sequence of them, optional
        One for each of `needs`, in that order.

    Returns
    -------
    ConvGradients, or an array
        Fields x, w, b; the array itself where one gradient is wanted.

    Raises
    ------
    TypeError, ValueError
        As `conv2d`; also if `dy` has not the output's shape.

    Notes
    -----
    dx and dw take as many FLOPs each as the forward; db one for each element of dy.
    """
    dy, x, w = targets.gather(dy=dy, x=x, w=w)
    x, w, packed, problem = _problem(x, w, stride, padding, dilation, groups)
    shape = (problem.n, problem.k, problem.oh, problem.ow)
    dy = checks.array("dy", dy, 4, x.dtype, shape)
    jobs = {
        "x": Job(
            "dx",
            problem,
            (dy, w, *problem.options),
            x.shape,
            weights=(w, problem.groups),
            packed=packed,
        ),
        "w": Job("dw", problem, (dy, x, *problem.options), w.shape),
        "b": Job("db", problem, (dy,), (problem.k,)),
    }
    results = CONV2D.gradients(jobs, needs, algorithm=algorithm, out=out)
    return results[needs[0]] if len(needs) == 1 else ConvGradients(**results)


def pack_conv2d(
    w: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Packed:
    """Check weights and options, and return them as `kernels.pack` does."""
    if targets.on_cuda(w):
        raise TypeError(
            "w: expected an array on the CPU; on a CUDA device conv2d takes weights as they are, and repacks them "
            "itself where a rung wants them otherwise"
        )
    w = checks.array("w", w, 4, empty_axes=())
    options = _options(w.shape[2:], stride, padding, dilation, groups)
    if w.shape[0] % groups:
        raise ValueError(f"groups: expected a divisor of {w.shape[0]} filters, got {groups}")
    return Packed("conv2d", w, options)


def _options(kernel, stride, padding, dilation, groups) -> dict[str, Any]:
    """Validate the options, and spell them in one way."""
    stride = checks.integers("stride", stride, 2, 1)
    dilation = checks.integers("dilation", dilation, 2, 1)
    groups = checks.integer("groups", groups, 1)
    pads: Any = geometry.padding(padding, kernel, kernel, stride, dilation)
    if isinstance(padding, str) and padding != "valid":  # depends on the image's size
        pads = "same_lower" if padding == "same_lower" else "same"
    return {"stride": stride, "padding": pads, "dilation": dilation, "groups": groups}


def _problem(
    x, w, stride, padding, dilation, groups
) -> tuple[np.ndarray, np.ndarray, Packed | None, ConvProblem]:
    """Validate what the forward and its gradients share."""
    x = checks.array("x", x, 4)
    packed = w if isinstance(w, Packed) else None
    w = checks.array("w", w.array if packed else w, 4, x.dtype, empty_axes=())
    options = _options(w.shape[2:], stride, padding, dilation, groups)
    if packed:
        packed.check("conv2d", options)
    stride, dilation, groups = options["stride"], options["dilation"], options["groups"]
    n, c, height, width = x.shape
    k, channels, r, s = w.shape
    if c % groups or k % groups:
        raise ValueError(
            f"groups: expected a divisor of {c} channels and {k} filters, got {groups}"
        )
    if channels != c // groups:
        raise ValueError(
            f"w: expected {c // groups} channels (x has {c}, in {groups} groups), got {channels}"
        )
    pads = options["padding"]
    if isinstance(pads, str):
        pads = geometry.padding(pads, (height, width), (r, s), stride, dilation)
    oh = geometry.output_size(height, r, stride[0], pads[0], dilation[0])
    ow = geometry.output_size(width, s, stride[1], pads[1], dilation[1])
    problem = ConvProblem(
        n, c, height, width, k, r, s, oh, ow, stride, pads, dilation, groups, x.dtype,
        targets.capability(x),
    )  # fmt: skip
    return x, w, packed, problem
