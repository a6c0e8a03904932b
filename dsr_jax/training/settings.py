"""A whole config as typed values: one frozen settings class a section."""

import dataclasses
from typing import Any, TypeVar

from ml_collections import ConfigDict

from dsr_jax.data import AugmentationSettings, LabelFileSettings
from dsr_jax.data.label_files import BROKEN
from dsr_jax.data.synthetic import SyntheticSettings
from dsr_jax.errors import UserError, nearest
from dsr_jax.evaluation import PROTOCOLS
from dsr_jax.losses import ObjectiveSettings
from dsr_jax.pipeline import TEXTURES, PipelineSettings
from dsr_jax.rasterizer import RasterSettings
from dsr_jax.regressor import RegressorSettings
from dsr_jax.regressor.hrnet import HRNETS, SIZE_MULTIPLE
from dsr_jax.semantics import CleaningSettings
from dsr_jax.settings import settings_from_config
from dsr_jax.training.optimizer import OptimizerSettings

SYNTHETIC, FOLDER = "synthetic", "folder"
SOURCES = (SYNTHETIC, FOLDER)
FILE_PROTOCOLS = tuple(name for name in PROTOCOLS if name != SYNTHETIC)

Settings = TypeVar("Settings")


@dataclasses.dataclass(frozen=True)
class BodySettings:
    """Which body; "" stands for no file."""

    name: str
    """"free", "free-lite", or the path of an SMPL .pkl or .npz."""
    extra_regressor: str
    """SMPL only: the 9 × 6890 regressor of the extra joints of the 49."""
    h36m_regressor: str
    """SMPL only: the 17 × 6890 regressor of Human3.6M's joints."""
    male: str
    """For evaluation: the body of true bodies annotated as male, in the form of `name`;
    "" where no protocol needs it."""
    female: str
    """The same of those annotated as female."""
    mean_parameters: str
    """Where the regressor's iterations start: `smpl_mean_params.npz`, or "" for
    `default_mean_parameters`."""


@dataclasses.dataclass(frozen=True)
class SemanticsSettings:
    """What the surface of the body shows."""

    prior: str
    """"free", "free-lite", or a .npz or .npy file."""
    visible_only: bool
    """Paint only what the camera sees."""
    texture: str
    """"prior": what people wear in general; "posterior": what the image shows that
    this one wears, see `dsr_jax.semantics.image_posterior`."""
    most_likely: bool
    """Paint every place with its most likely label alone (the paper's DSR-MVP)."""

    def __post_init__(self) -> None:
        if self.texture not in TEXTURES:
            raise ValueError(
                f"texture is {self.texture!r}: {nearest(self.texture, TEXTURES)}"
            )


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """Where training examples come from."""

    source: str
    """"synthetic" people, or "folder": the files of `datasets`."""
    image_size: int
    """Side of the square crops, pixels."""
    pool: int
    """Synthetic people made at the start and drawn from again and again; 0 makes new
    ones for every step."""
    datasets: tuple[tuple[str | float, ...], ...]
    """(name, npz file, folder of images, folder of label maps or "", share of the
    examples); or (name, folder of records, split, "", share)."""
    broken_photos: str
    """What a photo that cannot be used does: "stop" ends with one line; with "skip" its
    example weighs nothing and is counted."""
    workers: int
    """Threads that read and augment examples; in each process that does."""
    worker_processes: int
    """Processes that read examples of files; 0: the training's own does."""
    timeout_seconds: float
    """How long a batch may take to read before the run ends with an error."""

    def __post_init__(self) -> None:
        if self.broken_photos not in BROKEN:
            raise ValueError(
                f"broken_photos is {self.broken_photos!r}: "
                f"{nearest(self.broken_photos, BROKEN)}"
            )
        if self.source not in SOURCES:
            raise ValueError(
                f"source is {self.source!r}: {nearest(self.source, SOURCES)}"
            )
        if min(self.image_size, self.workers) < 1:
            raise ValueError("image_size and workers are at least 1")
        if min(self.pool, self.worker_processes) < 0:
            raise ValueError("pool and worker_processes are at least 0")
        if not self.timeout_seconds > 0:
            raise ValueError("timeout_seconds is above 0")
        if self.source == FOLDER and not self.datasets:
            raise ValueError("datasets is empty: name at least one for source 'folder'")
        for entry in self.datasets:
            if len(entry) != 5 or not float(entry[4]) > 0:
                raise ValueError(
                    f"datasets has {entry!r}: write (name, npz file, images, labels, "
                    "share above 0)"
                )


@dataclasses.dataclass(frozen=True)
class EvaluationSettings:
    """What the run is measured on."""

    dataset: str
    """"synthetic", or a name of `datasets`: chooses the best checkpoint and is the
    default of eval.py."""
    datasets: tuple[tuple[str, ...], ...]
    """(name, npz file, folder of images, protocol: one of `FILE_PROTOCOLS`); or (name,
    folder of records, split, protocol)."""
    people: int
    """Synthetic people of the validation split, and as many of the test split."""
    batch_size: int
    """Images at once."""

    def __post_init__(self) -> None:
        if min(self.people, self.batch_size) < 1:
            raise ValueError("people and batch_size are at least 1")
        for entry in self.datasets:
            if len(entry) != 4:
                raise ValueError(
                    f"datasets has {entry!r}: write (name, npz file, images, protocol)"
                )
            if entry[3] not in FILE_PROTOCOLS:
                raise ValueError(
                    f"datasets has the protocol {entry[3]!r}: "
                    f"{nearest(entry[3], FILE_PROTOCOLS)}"
                )


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """How long, how often, and from what; an interval of 0 means never."""

    seed: int
    """Decides weights, people, order and augmentation."""
    steps: int
    """Steps of the whole run."""
    batch_size: int
    """Examples of a step, on all devices together."""
    accumulate: int
    """Parts of every device's examples that a step takes one after the other: the
    memory of one, the gradient of all."""
    parameters: str
    """"replicated": every device holds all weights and moments; "sharded": its part."""
    start_from: str
    """What this run starts from: the folder of an earlier one (its best weights), a
    checkpoint file (docs/checkpoints.md), or "" for random weights."""
    log_every: int
    """Steps between two records of the metrics."""
    checkpoint_every: int
    """Steps between two checkpoints."""
    keep_latest: int
    """How many of the newest checkpoints stay; the second is there should the first be
    damaged."""
    keep_best: int
    """How many of the checkpoints with the lowest scores stay."""
    keep_every: int
    """Checkpoints whose step is a multiple of this stay for ever; 0 for none."""
    evaluate_every: int
    """Steps between two evaluations on the validation split."""
    pictures_every: int
    """Steps between two panels."""
    pictures: int
    """People in a panel."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "log_every", "pictures", "keep_latest"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least 1")
        intervals = ("checkpoint_every", "evaluate_every", "pictures_every")
        for name in (*intervals, "keep_best", "keep_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least 0")


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """Every section of a config, checked."""

    training: TrainingSettings
    data: DataSettings
    labels: LabelFileSettings
    cleaning: CleaningSettings
    synthetic: SyntheticSettings
    augmentation: AugmentationSettings
    body: BodySettings
    semantics: SemanticsSettings
    regressor: RegressorSettings
    pipeline: PipelineSettings
    optimizer: OptimizerSettings
    evaluation: EvaluationSettings

    @classmethod
    def from_config(cls, config: ConfigDict) -> "RunSettings":
        """Checks every section.

        Raises:
          UserError: an unknown, missing or impossible key, by its full name.
        """
        sections = (
            *("training", "data", "labels", "cleaning", "synthetic", "augmentation"),
            *("body", "semantics"),
            *("regressor", "rasterizer", "objective", "optimizer"),
            "evaluation",
        )
        for name in config:
            if name not in sections:
                raise UserError(
                    f"config section '{name}' is unknown: {nearest(name, sections)}"
                )
        for name in sections:
            if name not in config:
                raise UserError(
                    f"config lacks the section '{name}': add it (every config file "
                    "names every section)"
                )
        data = _read(DataSettings, config, "data")
        size = data.image_size
        regressor = _read(RegressorSettings, config, "regressor")
        if regressor.backbone in HRNETS and size % SIZE_MULTIPLE:
            raise UserError(
                f"config key 'data.image_size' is {size}: '{regressor.backbone}' takes "
                f"multiples of {SIZE_MULTIPLE}"
            )
        semantics = _read(SemanticsSettings, config, "semantics")
        return cls(
            training=_read(TrainingSettings, config, "training"),
            data=data,
            labels=_read(LabelFileSettings, config, "labels"),
            cleaning=_read(CleaningSettings, config, "cleaning"),
            synthetic=_read(SyntheticSettings, config, "synthetic", image_size=size),
            augmentation=_read(AugmentationSettings, config, "augmentation"),
            body=_read(BodySettings, config, "body"),
            semantics=semantics,
            regressor=regressor,
            pipeline=PipelineSettings(
                objective=_read(ObjectiveSettings, config, "objective"),
                raster=_read(
                    RasterSettings, config, "rasterizer", image_size=(size, size)
                ),
                visible_only=semantics.visible_only,
                texture=semantics.texture,
            ),
            optimizer=_read(OptimizerSettings, config, "optimizer"),
            evaluation=_read(EvaluationSettings, config, "evaluation"),
        )


def _read(cls: type[Settings], config: ConfigDict, name: str, **fixed: Any) -> Settings:
    """One section; `fixed` are fields that another section decides."""
    section = dict(config[name])
    for key, value in fixed.items():
        if key in section:
            raise UserError(
                f"config key '{name}.{key}' is set by 'data.{key}': remove it"
            )
        section[key] = value
    return settings_from_config(cls, section, name)
