"""Human3.6M in small: CDF positions, HDF5 masks behind object references."""

import h5py
import numpy as np
from cdflib import cdfwrite

from tests.data.miniatures.photo import write_photo

MASK_SIZE = (50, 60)
"""(H, W)."""


def write_recording(
    root, rng, subject="S9", action="Directions 1", camera="54138969", frames=11
):
    """Writes positions, 2D joints, masks and photos; returns what they hold."""
    poses, segments = root / subject / "MyPoseFeatures", root / subject
    name = f"{action}.{camera}"
    positions = rng.normal([0, 0, 5000], 500, (frames, 32, 3))
    pixels = rng.uniform(0, 1000, (frames, 32, 2))
    write_cdf(poses / "D3_Positions_mono" / f"{name}.cdf", positions)
    write_cdf(poses / "D2_Positions" / f"{name}.cdf", pixels)
    masks = [_mask(rng) for _ in range(frames)]
    write_masks(segments / "MySegmentsMat" / "ground_truth_bb" / f"{name}.mat", masks)
    for frame in range(0, frames, 5):
        write_photo(root / photo(subject, name, frame), rng)
    return {"positions": positions, "pixels": pixels, "masks": masks}


def photo(subject, name, frame):
    return f"images/{subject}_{name.replace(' ', '_')}_{frame + 1:06d}.jpg"


def write_cdf(path, joints):
    """The variable `Pose` of (1, N, D), as MATLAB wrote it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    values = joints.reshape(1, len(joints), -1).astype(np.float32)
    file = cdfwrite.CDF(str(path), {"Majority": "row_major"})
    file.write_var(
        {
            "Variable": "Pose",
            "Data_Type": 21,  # CDF_REAL4
            "Num_Elements": 1,
            "Rec_Vary": True,
            "Dim_Sizes": list(values.shape[1:]),
        },
        var_data=values,
    )
    file.close()


def write_masks(path, masks):
    """A cell array: references to matrices, whose axes HDF5 has in reverse."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        references = np.empty((len(masks), 1), h5py.ref_dtype)
        for index, mask in enumerate(masks):
            matrix = file.create_dataset(f"#refs#/{index}", data=mask.T)
            references[index, 0] = matrix.ref
        file.create_dataset("Masks", data=references, dtype=h5py.ref_dtype)


def _mask(rng):
    height, width = MASK_SIZE
    top, left = rng.integers(0, 20, 2)
    mask = np.zeros(MASK_SIZE, np.uint8)
    mask[top : height - rng.integers(1, 10), left : width - rng.integers(1, 20)] = 1
    return mask
