"""The oracle: NumPy only, float64, imports nothing of ours.

Each function takes what the public function takes and returns (value, scale, terms): y, or all gradients end
to end in the order of their fields; how far a right computation may be from it; and 0. A rung passes where
|got − value| ≤ (4 + √terms)·eps·scale, here 4·eps·scale. Gradients are computed here from the forward's
arguments, whatever else the cache holds.

*The scale.* What one step rounds, the next multiplies, so no sum of magnitudes can bound a recurrence: beside
each value stands its error (`Rough`), in units of 4·eps, to the first order:

- an addition or a product rounds by half an eps of its result, an eighth of a unit, there and in here;
- σ and tanh multiply the error by their slope, take z itself for off by an eps, and round by 4 eps at the
  most: one unit; a gate too small for normal numbers may be 0;
- Σ_j a_j·w_j of n terms rounds by (4 + √n)·eps·Σ|a||w|, as everywhere in the house, and passes on the errors of
  its a_j as √Σ (e_j·w_j)²: roundings of different units are independent, and so they add up as the √n does;
  in magnitude they would grow with every step, by Σ|w|, and after a few the bound would say nothing;
- where a pre-activation meets its bound, or relu's corner, a slope jumps. Whoever computes in finite
  precision may stand on either side if z is no further from it than z's own error, and than what gives the
  same gate but for four eps, by which backward tells: there the whole of that step's gradient counts as
  its error.
"""

import numpy as np

TINY = 1e-30  # 4·eps of it is less than a normal number


class Rough:
    """A value, and the error that a computed one may have, in units of 4·eps."""

    def __init__(self, value, error=None):
        self.value = np.asarray(value, np.float64)
        self.exact = error is None
        self.error = np.zeros(self.value.shape) if error is None else error
        self._kept = {}

    def __add__(self, other):
        value = self.value + other.value
        return Rough(value, self.error + other.error + np.abs(value) / 4)

    def __mul__(self, other):
        value = self.value * other.value
        error = np.abs(self.value) * other.error + self.error * np.abs(other.value)
        return Rough(value, error + np.abs(value) / 4)

    def __neg__(self):
        return Rough(-self.value, self.error)

    def __getitem__(self, place):
        return Rough(self.value[place], None if self.exact else self.error[place])

    @property
    def T(self):
        """The transpose."""
        return Rough(self.value.T, None if self.exact else self.error.T)

    def of(self, function):
        """|value| or value², once for all the steps that ask."""
        if function not in self._kept:
            self._kept[function] = function(self.value)
        return self._kept[function]

    def rest(self):
        """1 − self."""
        return Rough(1.0) + -self


def over(values, join=np.concatenate, **options):
    """Join the values and the errors of some."""
    parts = [join([getattr(v, name) for v in values], **options) for name in ("value", "error")]
    return Rough(*parts)


def where(active, new, old):
    """`new` in the rows that are active."""
    active = active[:, None]
    value = np.where(active, new.value, old.value)
    return Rough(value, np.where(active, new.error, old.error))


def products(pairs, biases=()):
    """Σ a · w + Σ bias as one sum; each a (rows, n) and w (n, columns)."""
    biases = [b for b in biases if b is not None]
    n = sum(a.value.shape[1] for a, _ in pairs) + len(biases)
    value = sum(a.value @ w.value for a, w in pairs) + sum(b.value for b in biases)
    size = sum(a.of(np.abs) @ w.of(np.abs) for a, w in pairs)
    size = size + sum(np.abs(b.value) for b in biases)
    passed = sum(_passed(a, w) for a, w in pairs)
    return Rough(value, (1 + np.sqrt(n) / 4) * size + np.sqrt(passed))


def _passed(a, w):
    """Square of the error that a product passes on from its factors."""
    left = 0 if a.exact else a.error**2 @ w.of(np.square)
    return left if w.exact else left + a.of(np.square) @ w.error**2


def sums(a):
    """Σ over the rows of a."""
    size = (1 + np.sqrt(len(a.value)) / 4) * np.abs(a.value).sum(0)
    return Rough(a.value.sum(0), size + np.sqrt((a.error**2).sum(0)))


class Gate:
    """A bounded pre-activation's function: its output `y`, and `slope`, its derivative."""

    def __init__(self, z, function, clip, eps):
        clip = np.inf if clip is None else float(clip)
        inside, corner = np.abs(z.value) <= clip, np.abs(np.abs(z.value) - clip)
        bounded = np.clip(z.value, -clip, clip)
        if function == "relu":
            self.y = Rough(np.maximum(bounded, 0), z.error)
            slope, steep, blunt = Rough((bounded > 0).astype(float)), 1.0, z.error
            corner = np.minimum(corner, np.abs(z.value))
        else:
            y, steep = _sigmoid(bounded) if function == "sigmoid" else _tanh(bounded)
            moved = z.error + np.minimum(np.abs(bounded), 1e3) / 4
            self.y = Rough(y, steep * moved + np.abs(y) + TINY)
            one = self.y if function == "sigmoid" else Rough(1.0) + self.y
            slope = Rough(steep, (self.y.rest() * one).error)
            blunt = moved + 2 * np.abs(y) / np.maximum(steep, 1e-300)  # what gives that gate
        unsure = corner <= np.minimum(4 * eps * blunt, 1e300)
        self.slope = Rough(
            slope.value * inside, np.where(unsure, steep / (4 * eps), slope.error * inside)
        )


def _sigmoid(z):
    """σ and its derivative."""
    y, rest = np.exp(-np.logaddexp(0, -z)), np.exp(-np.logaddexp(0, z))
    return y, y * rest


def _tanh(z):
    """Tanh and its derivative."""
    e = np.exp(-2 * np.abs(z))
    return np.tanh(z), 4 * e / (1 + e) ** 2


class Walk:
    """The order in which each batch row's steps are walked; `rows` of an array (T, B, …), and back."""

    def __init__(self, x, lengths, reverse):
        t, b = x.shape[:2]
        lengths = np.full(b, t) if lengths is None else np.asarray(lengths, int).reshape(b)
        step = np.arange(t)[:, None]
        self.active = step < lengths
        time = np.where(self.active, lengths - 1 - step if reverse else step, 0)
        self.place = time, np.broadcast_to(np.arange(b), (t, b))

    def __len__(self):
        return len(self.active)

    def rows(self, x):
        """x (T, B, …) step by step, zero where there is none."""
        taken = np.asarray(x, np.float64)[self.place]
        return Rough(np.where(self.active[..., None], taken, 0))

    def back(self, steps):
        """(T, B, …) of a list of steps; zero where there is none."""
        both = over(steps, np.stack)
        made = Rough(np.zeros(both.value.shape), np.zeros(both.value.shape))
        kept = tuple(index[self.active] for index in self.place)
        made.value[kept], made.error[kept] = both.value[self.active], both.error[self.active]
        return made


def _rough(*arrays):
    return [None if a is None else Rough(a) for a in arrays]


def _zeros(array, *shape):
    return Rough(np.zeros(shape) if array is None else array)


def _judged(*gradients):
    """The result as `check` takes it."""
    value = np.concatenate([g.value.reshape(-1) for g in gradients])
    return value, np.concatenate([g.error.reshape(-1) for g in gradients]), 0


def _ready(cache_or_arguments):
    """Transposed weights and biases of a sequence."""
    a = cache_or_arguments
    w_ih, w_hh, *biases = _rough(a["w_ih"], a["w_hh"], a["b_ih"], a["b_hh"])
    walk = Walk(a["x"], a["lengths"], a["reverse"])
    return walk, walk.rows(a["x"]), w_ih.T, w_hh.T, biases, np.finfo(np.asarray(a["x"]).dtype).eps


def _given(cache, found):
    """The gradients of what the forward was given, in order."""
    return _judged(*(g for name, g in found.items() if getattr(cache, name) is not None))


def _lstm(a):
    """Every step of the forward: what it read and what it made."""
    walk, x, w_ih, w_hh, biases, eps = _ready(a)
    units, (b, outputs) = w_ih.value.shape[1] // 4, (x.value.shape[1], w_hh.value.shape[0])
    h, c = _zeros(a["h0"], b, outputs), _zeros(a["c0"], b, units)
    p = _zeros(a["peepholes"], 3, units)
    w_proj = None if a["w_proj"] is None else Rough(a["w_proj"]).T
    steps = []
    for s in range(len(walk)):
        z = products([(x[s], w_ih), (h, w_hh)], biases)
        zi, zf, zg, zo = (z[:, k * units : (k + 1) * units] for k in range(4))
        i = Gate(zi + p[0] * c, "sigmoid", a["clip"], eps)
        f = Gate(zf + p[1] * c, "sigmoid", a["clip"], eps)
        g = Gate(zg, "tanh", a["clip"], eps)
        kept = i.y.rest() if a["coupled"] else f.y
        cell = kept * c + i.y * g.y
        o = Gate(zo + p[2] * cell, "sigmoid", a["clip"], eps)
        t = Gate(cell, "tanh", None, eps)
        shown = o.y * t.y
        out = shown if w_proj is None else products([(shown, w_proj)])
        steps.append((h, c, i, f, g, o, t, kept, cell, shown, out))
        h, c = where(walk.active[s], out, h), where(walk.active[s], cell, c)
    return walk, x, steps


def lstm(
    x, w_ih, w_hh, b_ih=None, b_hh=None, *, h0=None, c0=None, lengths=None, reverse=False,
    peepholes=None, w_proj=None, clip=None, coupled=False,
):  # fmt: skip
    """c′ = f·c + i·g, h′ = o·tanh(c′)."""
    walk, _, steps = _lstm(locals())
    y = walk.back([step[-1] for step in steps])
    return y.value, y.error, 0


def lstm_backward(dy, cache, *, dh=None, dc=None):
    """Back through the steps of the forward, done anew."""
    a = cache._asdict()
    walk, x, steps = _lstm(a)
    w_ih, w_hh = _rough(a["w_ih"], a["w_hh"])
    units, (b, outputs) = w_ih.value.shape[0] // 4, (x.value.shape[1], w_hh.value.shape[1])
    p, coupled = _zeros(a["peepholes"], 3, units), a["coupled"]
    w_proj = None if a["w_proj"] is None else Rough(a["w_proj"])
    dys = _zeros(None, *x.value.shape[:2], outputs) if dy is None else walk.rows(dy)
    dh, dc, zero = _zeros(dh, b, outputs), _zeros(dc, b, units), _zeros(None, b, units)
    none, wide = np.zeros(b, bool), _zeros(None, b, 4 * units)
    dzs, dps = [none] * len(walk), [none] * len(walk)
    for s in range(len(walk) - 1, -1, -1):
        _, c, i, f, g, o, t, kept, _, _, _ = steps[s]
        dout = dys[s] + dh
        dshown = dout if w_proj is None else products([(dout, w_proj)])
        do = dshown * t.y * o.slope
        dcell = dc + dshown * o.y * t.slope + do * p[2]
        dg = dcell * i.y * g.slope
        di = dcell * (g.y + -c if coupled else g.y) * i.slope
        df = zero if coupled else dcell * c * f.slope
        dz = where(walk.active[s], over([di, df, dg, do], axis=1), wide)
        dzs[s], dps[s] = dz, where(walk.active[s], dout, _zeros(None, b, outputs))
        dc = where(walk.active[s], dcell * kept + di * p[0] + df * p[1], dc)
        dh = where(walk.active[s], products([(dz, w_hh)]), dh)
    dx = walk.back([products([(dz, w_ih)]) for dz in dzs])
    dz, before, cells = over(dzs), over([s[0] for s in steps]), over([s[1] for s in steps])
    di, df, _, do = (dz[:, k * units : (k + 1) * units] for k in range(4))
    seen = [di * cells, df * cells, do * over([s[8] for s in steps])]
    db = sums(dz)
    found = {
        "x": dx,
        "w_ih": products([(dz.T, over(list(_each(x))))]),
        "w_hh": products([(dz.T, before)]),
        "b_ih": db,
        "b_hh": db,
        "h0": dh,
        "c0": dc,
        "peepholes": over([sums(each) for each in seen], np.stack),
        "w_proj": products([(over(dps).T, over([s[9] for s in steps]))]),
    }
    return _given(cache, found)


def _each(x):
    return (x[s] for s in range(len(x.value)))


def _gru(a):
    walk, x, w_ih, w_hh, (b_ih, b_hh), eps = _ready(a)
    units, b = w_hh.value.shape[0], x.value.shape[1]
    two = 2 * units
    some, last = (slice(None), slice(0, two)), (slice(None), slice(two, None))
    b_rz, b_in = ([None if v is None else v[k[1]] for v in (b_ih, b_hh)] for k in (some, last))
    h, steps = _zeros(a["h0"], b, units), []
    for s in range(len(walk)):
        rz = products([(x[s], w_ih[some]), (h, w_hh[some])], b_rz)
        r, z = (
            Gate(rz[:, k * units : (k + 1) * units], "sigmoid", a["clip"], eps) for k in range(2)
        )
        if a["linear_before_reset"]:
            met = products([(h, w_hh[last])], b_in[1:])
            zn = products([(x[s], w_ih[last])], b_in[:1]) + r.y * met
        else:
            met = r.y * h
            zn = products([(x[s], w_ih[last]), (met, w_hh[last])], b_in)
        n = Gate(zn, "tanh", a["clip"], eps)
        out = z.y.rest() * n.y + z.y * h
        steps.append((h, r, z, n, met, out))
        h = where(walk.active[s], out, h)
    return walk, x, steps


def gru(
    x, w_ih, w_hh, b_ih=None, b_hh=None, *, h0=None, lengths=None, reverse=False,
    linear_before_reset=True, clip=None,
):  # fmt: skip
    """h′ = (1 − z)·n + z·h."""
    walk, _, steps = _gru(locals())
    y = walk.back([step[-1] for step in steps])
    return y.value, y.error, 0


def gru_backward(dy, cache, *, dh=None):
    """Back through the steps of the forward, done anew."""
    a = cache._asdict()
    walk, x, steps = _gru(a)
    w_ih, w_hh = _rough(a["w_ih"], a["w_hh"])
    units, b = w_hh.value.shape[1], x.value.shape[1]
    u_rz, u_n = w_hh[: 2 * units], w_hh[2 * units :]
    dys = _zeros(None, *x.value.shape[:2], units) if dy is None else walk.rows(dy)
    dh, zero = _zeros(dh, b, units), _zeros(None, b, units)
    dzs, dqs = [zero] * len(walk), [zero] * len(walk)
    for s in range(len(walk) - 1, -1, -1):
        h, r, z, n, met, _ = steps[s]
        dout = dys[s] + dh
        dn = dout * z.y.rest() * n.slope
        dz = dout * (h + -n.y) * z.slope
        if a["linear_before_reset"]:
            dq = dn * r.y
            dr = dn * met * r.slope
            through = zero
        else:
            dq = dn
            back = products([(dn, u_n)])
            dr, through = back * h * r.slope, back * r.y
        drz = over([dr, dz], axis=1)
        pairs = [(drz, u_rz), (dq, u_n)] if a["linear_before_reset"] else [(drz, u_rz)]
        new = dout * z.y + through + products(pairs)
        wide = _zeros(None, b, 3 * units)
        dzs[s] = where(walk.active[s], over([drz, dn], axis=1), wide)
        dqs[s] = where(walk.active[s], dq, zero)
        dh = where(walk.active[s], new, dh)
    dx = walk.back([products([(dz, w_ih)]) for dz in dzs])
    dz, dq, before = over(dzs), over(dqs), over([s[0] for s in steps])
    drz, met = (
        dz[:, : 2 * units],
        before if a["linear_before_reset"] else over([s[4] for s in steps]),
    )
    found = {
        "x": dx,
        "w_ih": products([(dz.T, over(list(_each(x))))]),
        "w_hh": over([products([(drz.T, before)]), products([(dq.T, met)])]),
        "b_ih": sums(dz),
        "b_hh": over([sums(drz), sums(dq)]),
        "h0": dh,
    }
    return _given(cache, found)


def _rnn(a):
    walk, x, w_ih, w_hh, biases, eps = _ready(a)
    h, steps = _zeros(a["h0"], x.value.shape[1], w_hh.value.shape[0]), []
    for s in range(len(walk)):
        z = products([(x[s], w_ih), (h, w_hh)], biases)
        gate = Gate(z, a["nonlinearity"], a["clip"], eps)
        steps.append((h, gate, gate.y))
        h = where(walk.active[s], gate.y, h)
    return walk, x, steps


def rnn(
    x, w_ih, w_hh, b_ih=None, b_hh=None, *, h0=None, lengths=None, reverse=False,
    nonlinearity="tanh", clip=None,
):  # fmt: skip
    """h′ = tanh(W x + U h + b), or relu."""
    walk, _, steps = _rnn(locals())
    y = walk.back([step[-1] for step in steps])
    return y.value, y.error, 0


def rnn_backward(dy, cache, *, dh=None):
    """Back through the steps of the forward, done anew."""
    a = cache._asdict()
    walk, x, steps = _rnn(a)
    w_ih, w_hh = _rough(a["w_ih"], a["w_hh"])
    units, b = w_hh.value.shape[1], x.value.shape[1]
    dys = _zeros(None, *x.value.shape[:2], units) if dy is None else walk.rows(dy)
    dh, zero = _zeros(dh, b, units), _zeros(None, b, units)
    dzs = [zero] * len(walk)
    for s in range(len(walk) - 1, -1, -1):
        dzs[s] = where(walk.active[s], (dys[s] + dh) * steps[s][1].slope, zero)
        dh = where(walk.active[s], products([(dzs[s], w_hh)]), dh)
    dx = walk.back([products([(dz, w_ih)]) for dz in dzs])
    dz = over(dzs)
    db = sums(dz)
    found = {
        "x": dx,
        "w_ih": products([(dz.T, over(list(_each(x))))]),
        "w_hh": products([(dz.T, over([s[0] for s in steps]))]),
        "b_ih": db,
        "b_hh": db,
        "h0": dh,
    }
    return _given(cache, found)


def _four(gates):
    """A step's four gates."""
    units = np.shape(gates)[1] // 4
    return [Rough(gates)[:, k * units : (k + 1) * units] for k in range(4)]


def _closing(y):
    """σ′ from σ, and tanh′ from tanh by `_flat`."""
    return y * y.rest()


def _flat(y):
    return y.rest() * (Rough(1.0) + y)


def lstm_gates(z, c_prev):
    """H, c and the gates."""
    eps = np.finfo(np.asarray(z).dtype).eps
    kinds = "sigmoid", "sigmoid", "tanh", "sigmoid"
    i, f, g, o = (Gate(part, kind, None, eps).y for part, kind in zip(_four(z), kinds))
    c = f * Rough(c_prev) + i * g
    return _judged(o * Gate(c, "tanh", None, eps).y, c, over([i, f, g, o], axis=1))


def lstm_gates_backward(dh, dc, gates, c_prev, c):
    """Gradients of z and c_prev."""
    dh, dc, c_prev, c = _rough(dh, dc, c_prev, c)
    i, f, g, o = _four(gates)
    t = Gate(c, "tanh", None, np.finfo(np.asarray(gates).dtype).eps)
    d = dc + dh * o * t.slope
    dz = [d * g * _closing(i), d * c_prev * _closing(f), d * i * _flat(g), dh * t.y * _closing(o)]
    return _judged(over(dz, axis=1), d * f)


def gru_gates(zx, zh, h_prev):
    """H and r, z, n, q."""
    eps, units = np.finfo(np.asarray(zx).dtype).eps, np.shape(h_prev)[1]
    x, h = ([Rough(part)[:, k * units : (k + 1) * units] for k in range(3)] for part in (zx, zh))
    r, z = (Gate(x[k] + h[k], "sigmoid", None, eps).y for k in range(2))
    n = Gate(x[2] + r * h[2], "tanh", None, eps).y
    return _judged(z.rest() * n + z * Rough(h_prev), over([r, z, n, h[2]], axis=1))


def gru_gates_backward(dh, gates, h_prev):
    """Gradients of zx, zh and h_prev."""
    dh, h_prev = _rough(dh, h_prev)
    r, z, n, q = _four(gates)
    dn = dh * z.rest() * _flat(n)
    drz = [dn * q * _closing(r), dh * (h_prev + -n) * _closing(z)]
    return _judged(over([*drz, dn], axis=1), over([*drz, dn * r], axis=1), dh * z)


def rnn_gates(z, *, nonlinearity="tanh"):
    """H."""
    h = Gate(Rough(z), nonlinearity, None, np.finfo(np.asarray(z).dtype).eps).y
    return h.value, h.error, 0


def rnn_gates_backward(dh, h, *, nonlinearity="tanh"):
    """Gradient of z."""
    dh, h = _rough(dh, h)
    dz = dh * (Rough(1.0 * (h.value > 0)) if nonlinearity == "relu" else _flat(h))
    return dz.value, dz.error, 0
