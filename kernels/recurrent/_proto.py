import time
import numpy as np
import kernels
from kernels.core import jit, simd, threads
from kernels.recurrent.fused import lstm as F, tile as TL, walk as W

kernels.set_num_threads(None)


class Pr:
    pass


def sig(x):
    return 1 / (1 + np.exp(-x))


def ref(x, wi, wh, b, h0, c0):
    T, B, D = x.shape
    H = wh.shape[1]
    h, c = h0.astype("f8"), c0.astype("f8")
    ys = []
    st = []
    for t in range(T):
        z = x[t].astype("f8") @ wi.T.astype("f8") + h @ wh.T.astype("f8") + b
        i, f, g, o = [z[:, k * H : (k + 1) * H] for k in range(4)]
        i, f, g, o = sig(i), sig(f), np.tanh(g), sig(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        ys.append(h)
    return np.array(ys), h, c


def setup(T, B, D, H, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    k = 1 / np.sqrt(H)
    x = rng.standard_normal((T, B, D)).astype(dtype)
    wi = rng.uniform(-k, k, (4 * H, D)).astype(dtype)
    wh = rng.uniform(-k, k, (4 * H, H)).astype(dtype)
    b = rng.uniform(-k, k, 4 * H).astype(dtype)
    h0 = rng.standard_normal((B, H)).astype(dtype)
    c0 = rng.standard_normal((B, H)).astype(dtype)
    return x, wi, wh, b, h0, c0


def empty(n, dtype):
    from kernels.core import memory

    return memory.empty(n, dtype)


def fwd(x, wi, wh, b, h0, c0, saved, packed=None, out=None):
    T, B, D = x.shape
    H = wh.shape[1]
    p = Pr()
    p.dtype = x.dtype
    p.p = p.h = H
    p.d = D
    p.gates = 4
    if packed is None:
        packed = empty(TL.packed_size(p, "forward"), x.dtype)
        threads.run(TL.pack, (wi, wh, 4, False, packed))
    first = np.arange(B)
    lengths = np.full(B, T)
    c = empty(((T + 1) * B if saved else B, H), x.dtype)
    gates = empty((T * B if saved else 0, 4 * H), x.dtype)
    h = empty(((T + 1) * B, H), x.dtype)
    shares = empty((W.shares(B, TL.ROWS), 1), x.dtype)
    z0 = np.zeros((0, H), x.dtype)
    args = (
        x.reshape(T * B, D),
        wi,
        wh,
        b,
        z0,
        z0,
        h0,
        c0,
        first,
        lengths,
        B,
        0,
        B,
        x.dtype.type(np.inf) if 0 else float("inf"),
        False,
        c,
        gates,
        z0,
        h,
        packed,
        shares,
    )
    threads.run(F.forward, args)
    return h[B:].reshape(T, B, H), c, gates, packed, h


def bwd(dy, wh, c, gates, first, lengths, packed=None):
    T, B, H = dy.shape
    p = Pr()
    p.dtype = dy.dtype
    p.p = p.h = H
    p.d = 1
    p.gates = 4
    if packed is None:
        packed = empty(TL.packed_size(p, "backward"), dy.dtype)
        threads.run(TL.pack, (wh, wh, 4, True, packed))
    z0 = np.zeros((0, H), dy.dtype)
    dh = np.zeros((B, H), dy.dtype)
    dc = np.zeros((B, H), dy.dtype)
    dh0 = empty((B, H), dy.dtype)
    dc0 = empty((B, H), dy.dtype)
    dz = empty((T * B, 4 * H), dy.dtype)
    shares = empty((W.shares(B, TL.ROWS), 1), dy.dtype)
    threads.run(
        F.backward,
        (
            dy.reshape(T * B, H),
            wh,
            z0,
            z0,
            first,
            lengths,
            B,
            0,
            B,
            float("inf"),
            False,
            gates,
            c,
            dh,
            dc,
            dh0,
            dc0,
            z0,
            dz,
            packed,
            shares,
        ),
    )
    return dz, dh0, dc0, packed


def main(check=True):
    import torch

    torch.set_num_threads(1)
    kernels.set_num_threads(1)
    if check:
        for dt, tol in ((np.float32, 1e-4), (np.float64, 1e-11)):
            x, wi, wh, b, h0, c0 = setup(5, 7, 9, 37, dt)
            y, c, g, pk, _ = fwd(x, wi, wh, b, h0, c0, True)
            yr, hr, cr = ref(x, wi, wh, b, h0, c0)
            print(dt.__name__, abs(y - yr).max(), abs(c[-7:] - cr).max())
            y2, c2, _, _, _ = fwd(x, wi, wh, b, h0, c0, False)
            print((y2 == y).all(), abs(c2 - cr).max())
            X, WI, WH, BB, H0, C0 = [
                torch.tensor(a, requires_grad=True) for a in (x, wi, wh, b, h0, c0)
            ]
            h_, c_ = H0, C0
            ys = []
            zs = []
            for t in range(5):
                z = X[t] @ WI.T + h_ @ WH.T + BB
                z.retain_grad()
                zs.append(z)
                i, f, gg, o = z.chunk(4, 1)
                c_ = torch.sigmoid(f) * c_ + torch.sigmoid(i) * torch.tanh(gg)
                h_ = torch.sigmoid(o) * torch.tanh(c_)
                ys.append(h_)
            dy = np.random.default_rng(1).standard_normal(y.shape).astype(dt)
            torch.stack(ys).backward(torch.tensor(dy))
            dz, dh0, dc0, _ = bwd(dy, wh, c, g, np.arange(7), np.full(7, 5))
            print(
                "dz",
                abs(dz - np.concatenate([z.grad.numpy() for z in zs])).max(),
                abs(dh0 - H0.grad.numpy()).max(),
                abs(dc0 - C0.grad.numpy()).max(),
            )
    for T, B, D, H in (
        (50, 32, 128, 128),
        (100, 64, 256, 256),
        (28, 128, 28, 128),
        (50, 32, 512, 512),
        (100, 1, 256, 256),
    ):
        x, wi, wh, b, h0, c0 = setup(T, B, D, H)
        pk = fwd(x, wi, wh, b, h0, c0, False)[3]
        m = torch.nn.LSTM(D, H)
        X = torch.tensor(x)
        S = (torch.tensor(h0)[None], torch.tensor(c0)[None])

        def tf():
            with torch.inference_mode():
                m(X, S)

        res = {}
        y, c, g, _, _ = fwd(x, wi, wh, b, h0, c0, True)
        dy = np.ones_like(y)
        pkb = bwd(dy, wh, c, g, np.arange(B), np.full(B, T))[3]
        runs = {
            "packed": lambda: fwd(x, wi, wh, b, h0, c0, False, pk),
            "plain": lambda: fwd(x, wi, wh, b, h0, c0, False),
            "saved": lambda: fwd(x, wi, wh, b, h0, c0, True),
            "dz": lambda: bwd(dy, wh, c, g, np.arange(B), np.full(B, T)),
            "torch": tf,
        }
        for rd in range(5):
            for n, f in runs.items():
                f()
                k = 3
                t0 = time.process_time()
                for _ in range(k):
                    f()
                res.setdefault(n, []).append((time.process_time() - t0) / k)
        fl = 2 * T * B * 4 * H * (D + H)
        print(
            (T, B, D, H),
            {n: f"{np.median(v) * 1e3:.2f}/{min(v) * 1e3:.2f}" for n, v in res.items()},
            f"packed {fl / min(res['packed']) / 1e9:.0f} GF; dz {2 * T * B * 4 * H * H / min(res['dz']) / 1e9:.0f} ratio {np.median(res['torch']) / np.median(res['plain']):.2f}",
            flush=True,
        )
