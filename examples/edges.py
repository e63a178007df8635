"""Convolution as an edge detector, and what pooling does to its answer, on two photographs.

    python -m examples.edges                 figures/edges-china.png, figures/edges-flower.png, figures/pooling.png
    python -m examples.edges --out FOLDER

The filters are not learnt, they are written down: the Gaussian blurs, Sobel's two take a derivative
across and down, the Laplacian takes the second derivative in both directions at once. A network's first
layer learns filters of the same kind (see digits_cnn's figure of them).

Sources: I. Sobel, "An Isotropic 3×3 Image Gradient Operator", 1968; R. Gonzalez and R. Woods, "Digital
Image Processing", 4th edition, 2018, sections 3.5 and 3.6.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

import kernels

SOBEL_X = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)
SOBEL_Y = SOBEL_X.T.copy()
LAPLACIAN = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)
BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32)
GAUSSIAN = np.outer(BINOMIAL, BINOMIAL) / 256  # the nearest in whole numbers to a Gaussian of σ = 1


def photographs() -> dict[str, np.ndarray]:
    """Return scikit-learn's two photographs as grey images (1, 1, H, W), float32 from 0 to 1.

    Grey is 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), which is itself a convolution with a 1×1 filter.
    """
    from sklearn.datasets import load_sample_image

    grey = np.array([0.299, 0.587, 0.114], np.float32).reshape(1, 3, 1, 1)
    result = {}
    for name in ("china", "flower"):
        colours = load_sample_image(f"{name}.jpg").transpose(2, 0, 1)[None].astype(np.float32) / 255
        result[name] = kernels.conv2d(colours, grey)
    return result


def convolved(image: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Slide one filter over a grey image; the size stays as it was.

    The border repeats the last pixel, for an edge against a border of zeros is not in the picture.
    """
    reach = len(window) // 2
    framed = np.pad(image, ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="edge")
    return kernels.conv2d(framed, window[None, None])


def responses(image: np.ndarray) -> dict[str, np.ndarray]:
    """Return what each filter answers, by its title."""
    smooth = convolved(image, GAUSSIAN)
    across, down = convolved(image, SOBEL_X), convolved(image, SOBEL_Y)
    return {
        "photograph": image,
        "Gaussian: blurred": smooth,
        "Sobel across: upright edges": across,
        "Sobel down: level edges": down,
        "√(across² + down²): all edges": np.hypot(across, down),
        "Laplacian of the blurred": convolved(smooth, LAPLACIAN),
    }


def pooled(edges: np.ndarray) -> dict[str, np.ndarray]:
    """Return edges under windows of growing size: the strongest answer, and the mean."""
    result = {"edges": edges}
    for size in (4, 16):
        result[f"max-pool {size}×{size}"] = kernels.max_pool2d(edges, size)
        result[f"avg-pool {size}×{size}"] = kernels.avg_pool2d(edges, size)
    return result


def draw(
    path: Path, title: str, pictures: dict[str, np.ndarray], columns: int, top: float | None = None
) -> Path:
    """Show pictures side by side; those with a sign in blue and red around white.

    `top` is what shows as white, one scale for all; where not given, each picture has its own.
    """
    import matplotlib as mpl

    from examples import figures

    rows = -(-len(pictures) // columns)
    with mpl.rc_context(figures.STYLE):
        figure = figures.sheet(figsize=(3.6 * columns, 2.75 * rows + 0.3))
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for axes, (name, picture) in zip(grid.flat, pictures.items()):
            plane = picture[0, 0]
            if plane.min() < 0:
                most = np.percentile(np.abs(plane), 99.5)
                axes.imshow(plane, cmap="RdBu", vmin=-most, vmax=most)
            else:
                white = top or max(1e-6, float(np.percentile(plane, 99.8)))
                axes.imshow(plane, cmap="gray", vmin=0, vmax=white)
            axes.set_title(f"{name}  ({plane.shape[0]}×{plane.shape[1]})")
        figure.suptitle(title, x=0.01, ha="left", size=11)
        return figures.save(figure, path)


def main(argv: Sequence[str] | None = None) -> int:
    """Draw all figures."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.edges", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--out", type=Path, default=Path("figures"), metavar="FOLDER", help="where the figures go"
    )
    options = parser.parse_args(argv)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        paths = []
        images = photographs()
        for name, image in tqdm(images.items(), desc="filters", disable=None):
            title = "What five filters see"
            path = options.out / f"edges-{name}.png"
            paths.append(draw(path, title, responses(image), 3))
        edges = responses(images["china"])["√(across² + down²): all edges"]
        title = "What pooling keeps: the maximum keeps thin lines bright, the mean fades them"
        white = float(np.percentile(edges, 99.8))
        paths.append(draw(options.out / "pooling.png", title, pooled(edges), 3, white))
    except OSError as error:
        parser.error(str(error))
    for path in paths:
        print(f"figure: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
