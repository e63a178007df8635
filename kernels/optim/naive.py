"""The formulas, one parameter element at a time, in place.

    sgd    g ← g + λθ;   v ← μv + (1 − τ)g  (v ← g at the first step);   θ ← θ − η(g + μv) or θ − ηv
    adam   g ← g + λθ;   m ← β₁m + (1 − β₁)g;   s ← β₂s + (1 − β₂)g²
           θ ← θ − η/(1 − β₁ᵗ) · m / (√(s/(1 − β₂ᵗ)) + ε)
    adamw  θ ← (1 − ηλ)θ first, and no λθ in the gradient

Every argument is a flat array, or a number of the arrays' dtype. 2 to 12 FLOPs an element, against 12 to
28 bytes moved: memory sets the pace, so a step is one pass over all its arrays instead of one for each
operation in the formula.

Sources: Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML
2013, section 2; Kingma and Ba, "Adam", ICLR 2015, algorithm 1; Loshchilov and Hutter, "Decoupled Weight
Decay Regularization", ICLR 2019, algorithm 2. Dampening, and where the learning rate multiplies, as in
PyTorch.
"""

import math

from kernels.core import jit


@jit.fast
def sgd(param, grad, lr, decay):
    """Take one step without momentum."""
    for i in range(param.shape[0]):
        param[i] -= lr * (grad[i] + decay * param[i])


@jit.fast
def momentum(param, grad, velocity, lr, mu, share, decay, nesterov):
    """Take one step with momentum `mu`; `share` is what a new gradient adds to the velocity, 1 − τ."""
    for i in range(param.shape[0]):
        g = grad[i] + decay * param[i]
        v = mu * velocity[i] + share * g
        velocity[i] = v
        param[i] -= lr * (g + mu * v if nesterov else v)


@jit.fast
def adam(param, grad, m, v, beta1, beta2, rest1, rest2, size, root, eps, decay, keep):
    """Take one step; `rest` is 1 − β, `size` η/(1 − β₁ᵗ), `root` 1/√(1 − β₂ᵗ), `keep` 1 − ηλ (adamw)."""
    for i in range(param.shape[0]):
        g = grad[i] + decay * param[i]
        m[i] = beta1 * m[i] + rest1 * g
        v[i] = beta2 * v[i] + rest2 * g * g
        param[i] = keep * param[i] - size * m[i] / (math.sqrt(v[i]) * root + eps)
