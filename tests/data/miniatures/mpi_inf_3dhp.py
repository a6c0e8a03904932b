"""MPI-INF-3DHP in small: MATLAB 5 cells in training, HDF5 in tests."""

import h5py
import numpy as np
import scipy.io

from tests.data.miniatures.photo import write_photo


def write_training_recording(root, rng, subject=1, sequence=1, frames=21, cameras=14):
    """Writes `annot.mat` and the frames of two cameras; returns what it holds."""
    folder = root / f"S{subject}" / f"Seq{sequence}"
    folder.mkdir(parents=True)
    content = {
        "annot2": [rng.uniform(10, 2000, (frames, 56)) for _ in range(cameras)],
        "annot3": [rng.normal(0, 500, (frames, 84)) for _ in range(cameras)],
        "univ_annot3": [rng.normal(0, 500, (frames, 84)) for _ in range(cameras)],
    }
    cells = {"cameras": np.arange(cameras)[None], "frames": np.arange(frames)[:, None]}
    for key, arrays in content.items():
        cells[key] = np.empty((cameras, 1), object)
        cells[key][:, 0] = arrays
    scipy.io.savemat(folder / "annot.mat", cells)
    for camera in (0, 8):
        for frame in range(0, frames, 10):
            write_photo(training_photo(folder, camera, frame), rng)
    return content


def training_photo(folder, camera, frame):
    return folder / f"imageFrames/video_{camera}/frame_{frame + 1:06d}.jpg"


def write_test_recording(root, rng, subject=1, frames=4, size=(40, 60), valid=None):
    """Writes `annot_data.mat` and its photos; returns what it holds."""
    folder = root / "mpi_inf_3dhp_test_set" / f"TS{subject}"
    folder.mkdir(parents=True)
    height, width = size
    content = {
        "annot2": rng.uniform(0, 1, (frames, 1, 17, 2)) * [width - 1, height - 1],
        "annot3": rng.normal(0, 500, (frames, 1, 17, 3)),
        "univ_annot3": rng.normal(0, 500, (frames, 1, 17, 3)),
        "valid_frame": np.ones((frames, 1)) if valid is None else valid[:, None],
        "activity_annotation": np.ones((frames, 1)),
    }
    with h5py.File(folder / "annot_data.mat", "w") as file:
        for key, array in content.items():
            file[key] = array
    for frame in range(frames):
        path = folder / "imageSequence" / f"img_{frame + 1:06d}.jpg"
        write_photo(path, rng, size)
    return content
