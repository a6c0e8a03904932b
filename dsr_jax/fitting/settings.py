"""The config of `fit.py` as typed values."""

import dataclasses

from ml_collections import ConfigDict

from dsr_jax.data.synthetic import SyntheticSettings
from dsr_jax.errors import UserError, nearest
from dsr_jax.fitting.descent import FitSettings
from dsr_jax.fitting.exemplar import ExemplarSettings
from dsr_jax.losses import ObjectiveSettings
from dsr_jax.pipeline import PipelineSettings
from dsr_jax.rasterizer import RasterSettings
from dsr_jax.semantics import CleaningSettings
from dsr_jax.settings import settings_from_config
from dsr_jax.training.settings import BodySettings, SemanticsSettings

_SECTIONS = (
    *("body", "semantics", "rasterizer", "objective", "synthetic"),
    *("cleaning", "fitting", "exemplar"),
)
_NUMBERS = ("image_size", "people_at_once")


@dataclasses.dataclass(frozen=True)
class FitRun:
    """Every section of the config, checked."""

    body: BodySettings
    semantics: SemanticsSettings
    pipeline: PipelineSettings
    synthetic: SyntheticSettings
    """Whose poses the pose prior is learnt from."""
    cleaning: CleaningSettings
    """Of the label maps."""
    fitting: FitSettings
    exemplar: ExemplarSettings
    image_size: int
    """Side of the crops in pixels."""
    people_at_once: int

    @classmethod
    def from_config(cls, config: ConfigDict, image_size: int | None = None) -> "FitRun":
        """Checks a config; `image_size`, of a trained network, replaces its own.

        Raises:
          UserError: an unknown, missing or impossible key, by its full name.
        """
        known = (*_SECTIONS, *_NUMBERS)
        for name in config:
            if name not in known:
                raise UserError(
                    f"config key '{name}' is unknown: {nearest(name, known)}"
                )
        for name in known:
            if name not in config:
                raise UserError(
                    f"config lacks '{name}': add it, as configs/fit.py does"
                )
        size = config.image_size if image_size is None else image_size
        if min(size, config.people_at_once) < 1:
            raise UserError("config keys 'image_size' and 'people_at_once': 1 or more")
        semantics = settings_from_config(
            SemanticsSettings, dict(config.semantics), "semantics"
        )
        raster = {**config.rasterizer, "image_size": (size, size)}
        return cls(
            body=settings_from_config(BodySettings, dict(config.body), "body"),
            semantics=semantics,
            pipeline=PipelineSettings(
                objective=settings_from_config(
                    ObjectiveSettings, dict(config.objective), "objective"
                ),
                raster=settings_from_config(RasterSettings, raster, "rasterizer"),
                visible_only=semantics.visible_only,
                texture=semantics.texture,
            ),
            synthetic=settings_from_config(
                SyntheticSettings,
                {**config.synthetic, "image_size": max(16, size)},
                "synthetic",
            ),
            cleaning=settings_from_config(
                CleaningSettings, dict(config.cleaning), "cleaning"
            ),
            fitting=settings_from_config(FitSettings, dict(config.fitting), "fitting"),
            exemplar=settings_from_config(
                ExemplarSettings, dict(config.exemplar), "exemplar"
            ),
            image_size=size,
            people_at_once=config.people_at_once,
        )
