"""Counts the labels that scans show at each vertex, several scans at a time.

A view's label map is cut to the window that the body covers, so that its cost is that
of the body and not of the photo, and one compiled program serves windows of any place.
A scan's counts do not depend on what is counted beside it, and they are added in the
order of the scans' names: an interrupted count goes on to the same bits.
"""

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float, Int, UInt8
from dsr_jax.body import BodyModel
from dsr_jax.camera import (
    CROP_SIZE,
    FOCAL_LENGTH,
    centred_intrinsics,
    perspective_to_pixels,
    pixels_to_ndc,
)
from dsr_jax.data.scans.reading import Scan, ScanView, read_scan
from dsr_jax.errors import UserError
from dsr_jax.rasterizer import visible_faces
from dsr_jax.semantics import (
    CIHP,
    NUM_LABELS,
    Taxonomy,
    accumulate_label_counts,
    read_label_map,
)

# Windows are squares whose sides are this or twice, four times, … as many pixels: each
# side is a program to compile.
_SMALLEST_WINDOW = 128
_NO_LABEL = 255
# A view in which less of the body than this bears a label is not of this body: a wrong
# camera, or another view's label map. Of 256 synthetic views none has less than 0.999.
_LEAST_LABELLED = 0.1
# Scans that wait to be added, for each that is being counted.
_WAITING = 3


def scan_counts(
    folder: str | Path, model: BodyModel, taxonomy: Taxonomy = CIHP
) -> Float[np.ndarray, "V 20"]:
    """The votes of all views of one scan, see `accumulate_label_counts`.

    Args:
      folder: of the scan.
      model: the body that was fitted.
      taxonomy: what the label maps hold; the votes are for CIHP's labels.

    Raises:
      UserError: the scan cannot be used; the line names the file and the key.
    """
    scan = read_scan(folder, model)
    counts = jnp.zeros((len(model.template), NUM_LABELS), jnp.float32)
    for view in scan.views:
        counts = _add_view(counts, scan, view, model, taxonomy)
    return np.asarray(counts, np.float64)


def count_scans(
    folders: Sequence[Path],
    model: BodyModel,
    threads: int,
    taxonomy: Taxonomy = CIHP,
) -> Generator[tuple[Path, Float[np.ndarray, "V 20"] | UserError], None, None]:
    """The counts of each scan in order, or what is wrong with it.

    Reading, decoding and the z-buffer all leave Python's lock, so threads are enough.

    Args:
      folders: of the scans.
      model: the body that was fitted.
      threads: scans counted at a time.
      taxonomy: what the label maps hold.
    """
    waiting: deque[tuple[Path, Future]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for folder in folders:
                task = pool.submit(scan_counts, folder, model, taxonomy)
                waiting.append((folder, task))
                if len(waiting) > _WAITING * threads:
                    yield _result(*waiting.popleft())
            while waiting:
                yield _result(*waiting.popleft())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _result(folder: Path, future: Future) -> tuple[Path, np.ndarray | UserError]:
    try:
        return folder, future.result()
    except UserError as error:
        return folder, error


def _add_view(
    counts: Array, scan: Scan, view: ScanView, model: BodyModel, taxonomy: Taxonomy
) -> Array:
    labels = read_label_map(view.label_path, view.image_size, taxonomy, void=True)
    points = scan.vertices @ view.rotation.T + view.translation
    pixels = _project(view, points, labels.shape)
    corner, window = _window(view, pixels, labels)
    points_px = np.concatenate([pixels - corner, points[:, 2:]], 1).astype(np.float32)
    counts, labelled = _add_window(counts, points_px, window, model.faces)
    if not labelled >= _LEAST_LABELLED:
        raise UserError(
            f"{view.label_path}: only {labelled:.0%} of the body's pixels bear a "
            "label; check that this view's camera and label map belong together, and "
            "that its axes are x right, y down, z away from the camera"
        )
    return counts


def _project(view: ScanView, points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixel coordinates (V, 2)."""
    intrinsics: np.ndarray | Array | None = view.intrinsics
    if intrinsics is None:
        if size[0] != size[1]:
            raise UserError(
                f"{view.label_path}: has {size[1]} x {size[0]} pixels, but a weak "
                "camera needs a square image; give K, R, t and image_size"
            )
        intrinsics = centred_intrinsics(FOCAL_LENGTH * size[0] / CROP_SIZE, size)
    return np.asarray(_to_pixels(points.astype(np.float32), intrinsics))


_to_pixels = jax.jit(perspective_to_pixels)


def _window(
    view: ScanView, pixels: np.ndarray, labels: UInt8[np.ndarray, "H W"]
) -> tuple[np.ndarray, UInt8[np.ndarray, "S S"]]:
    """The square around the body: its top-left pixel, and the labels in it."""
    if not np.isfinite(pixels).all():
        raise UserError(
            f"{view.label_path}: the body has no finite place in this view; check its "
            "camera and the fit"
        )
    limit = np.array(labels.shape[::-1])
    low = np.clip(np.floor(pixels.min(0)), 0, limit).astype(int)
    high = np.clip(np.ceil(pixels.max(0)) + 1, 0, limit).astype(int)
    if (high <= low).any():
        raise UserError(
            f"{view.label_path}: the body lies outside this view; check its camera"
        )
    side = _SMALLEST_WINDOW
    while side < (high - low).max():
        side *= 2
    window = np.full((side, side), _NO_LABEL, np.uint8)
    part = labels[low[1] : high[1], low[0] : high[0]]
    window[: part.shape[0], : part.shape[1]] = part
    return low, window


@jax.jit
def _add_window(
    counts: Float[Array, "V L"],
    points_px: Float[Array, "V 3"],
    labels: UInt8[Array, "S S"],
    faces: Int[Array, "F 3"],
) -> tuple[Float[Array, "V L"], Float[Array, ""]]:
    """The counts with one view's votes, and which share of the body is labelled."""
    size = labels.shape[0], labels.shape[1]
    points = pixels_to_ndc(points_px[:, :2], size)
    vertices_ndc = jnp.concatenate([points, points_px[:, 2:]], -1)
    hit = visible_faces(vertices_ndc, faces, size)
    shown = (hit.face >= 0) & (labels < NUM_LABELS)
    labelled = jnp.sum(shown & (labels > 0)) / jnp.maximum(jnp.sum(shown), 1)
    counts = accumulate_label_counts(counts, hit.face, hit.barycentric, labels, faces)
    return counts, labelled
