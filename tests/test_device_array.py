"""Views of memory on a device: their geometry is NumPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.core.device_array import DeviceArray


def described(x):
    """The view that has x's shape and strides, at x's own address."""
    return DeviceArray(x.ctypes.data, x.shape, x.strides, x.dtype, x)


def same(view, x):
    return (view.shape, view.strides, view.ndim, view.size) == (x.shape, x.strides, x.ndim, x.size)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.data())
def test_views_are_numpys(shape, data):
    x = np.empty(shape, data.draw(st.sampled_from(("f2", "f4", "f8"))))
    packed = DeviceArray.packed(x.ctypes.data, shape, x.dtype, x)
    assert packed.shape == x.shape
    assert packed.flags.c_contiguous
    i, j = (data.draw(st.integers(0, len(shape) - 1)) for _ in range(2))
    turned = described(x).swapaxes(i, j)
    assert same(turned, x.swapaxes(i, j))
    assert turned.flags.c_contiguous == x.swapaxes(i, j).flags.c_contiguous
    wide = (3, *(n if n != 1 else 2 for n in shape))
    assert described(x).broadcast_to(wide).shape == wide
    if x.size:
        assert described(x).broadcast_to(wide).strides == np.broadcast_to(x, wide).strides
    if x.size > 1:
        assert same(packed.reshape(-1), x.reshape(-1))
        assert same(packed.reshape(1, x.size), x.reshape(1, x.size))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.data())
def test_span_is_the_memory_touched(shape, data):
    x = np.empty([3 * n for n in shape], np.float32)
    steps = data.draw(
        st.lists(st.sampled_from((-2, -1, 1, 2, 3)), min_size=x.ndim, max_size=x.ndim)
    )
    x = x[tuple(slice(None, None, step) for step in steps)]
    places = sum(i * step for i, step in zip(np.indices(x.shape), x.strides)) + x.ctypes.data
    assert described(x).span() == (places.min(), places.max() + x.itemsize)


def test_span_of_nothing_is_empty():
    x = DeviceArray.packed(4096, (3, 0, 2), np.float32, None)
    assert x.span() == (4096, 4096)


def test_only_what_is_contiguous_is_reshaped():
    with pytest.raises(AssertionError):
        described(np.empty((3, 4))).swapaxes(0, 1).reshape(-1)
