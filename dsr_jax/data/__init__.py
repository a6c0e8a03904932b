"""Training and evaluation data: batches, files, crops and augmentation."""

from dsr_jax.data.augmentation import (
    Augmentation,
    AugmentationSettings,
    draw_augmentation,
    flip_example,
    scale_channels,
)
from dsr_jax.data.batch import Batch
from dsr_jax.data.batch_reader import Dataset
from dsr_jax.data.crop import (
    crop_affine,
    keypoints_to_crop_ndc,
    transform_points,
    warp_image,
    warp_labels,
)
from dsr_jax.data.crops import CropDataset, CropSettings
from dsr_jax.data.folder import FolderDataset, FolderSettings
from dsr_jax.data.grain_workers import Reading
from dsr_jax.data.image_file import IMAGE_SUFFIXES, read_image, write_image
from dsr_jax.data.label_files import LabelFileSettings
from dsr_jax.data.loader import TrainingBatches, ordered_batches, training_batches
from dsr_jax.data.mixing import Mixture
from dsr_jax.data.opening import open_source
from dsr_jax.data.order import DataSetShare, ExampleOrder, check_same_data
from dsr_jax.data.people_files import make_folder, write_people
from dsr_jax.data.person import PeopleSource, Person, Skipped, StoredFile
from dsr_jax.data.person_box import (
    PersonBox,
    centred_box,
    read_bbox,
    read_openpose_boxes,
    read_openpose_keypoints,
)
from dsr_jax.data.photos import Photo, find_photos
from dsr_jax.data.records import RecordSource
from dsr_jax.data.spin_npz import SpinAnnotations, read_spin_npz, write_spin_npz
from dsr_jax.data.spin_source import SpinSource
from dsr_jax.data.trouble import Tally, Trouble

__all__ = [
    "IMAGE_SUFFIXES",
    "Augmentation",
    "AugmentationSettings",
    "Batch",
    "CropDataset",
    "CropSettings",
    "DataSetShare",
    "Dataset",
    "ExampleOrder",
    "FolderDataset",
    "FolderSettings",
    "LabelFileSettings",
    "Mixture",
    "PeopleSource",
    "Person",
    "PersonBox",
    "Photo",
    "Reading",
    "RecordSource",
    "Skipped",
    "SpinAnnotations",
    "SpinSource",
    "StoredFile",
    "Tally",
    "TrainingBatches",
    "Trouble",
    "centred_box",
    "check_same_data",
    "crop_affine",
    "draw_augmentation",
    "find_photos",
    "flip_example",
    "keypoints_to_crop_ndc",
    "make_folder",
    "open_source",
    "ordered_batches",
    "read_bbox",
    "read_image",
    "read_openpose_boxes",
    "read_openpose_keypoints",
    "read_spin_npz",
    "scale_channels",
    "training_batches",
    "transform_points",
    "warp_image",
    "warp_labels",
    "write_image",
    "write_people",
    "write_spin_npz",
]
