"""A data set as users have it: SPIN annotations, a folder of photos, one of labels.

The label map of photo `a/b.jpg` is `a/b.png` in the folder of labels. A photo without
one gives an example whose `has_labels` is 0, and so does one whose label map cleaning
refuses.
"""

import dataclasses

from dsr_jax.data.augmentation import AugmentationSettings
from dsr_jax.data.crops import CropDataset, CropSettings
from dsr_jax.data.opening import open_source


@dataclasses.dataclass(frozen=True)
class FolderSettings(CropSettings):
    """Where a data set is, and how it is cut.

    Attributes:
      annotations: an `.npz` file, see `spin_npz`.
      images: the folder that `imgname` is relative to.
      labels: the folder of label maps; None trains without clothing.
    """

    annotations: str = ""
    images: str = ""
    labels: str | None = None


class FolderDataset(CropDataset):
    """Crops of the people of an annotation file in SPIN's layout."""

    def __init__(
        self,
        settings: FolderSettings,
        augmentation: AugmentationSettings | None = None,
    ):
        """Reads the annotations; photos are read when they are asked for.

        Raises:
          UserError: annotations that cannot be used, a folder that does not exist, or a
            folder of labels with no label map for any photo.
        """
        source = open_source(settings.annotations, settings.images, settings.labels)
        super().__init__(source, settings, augmentation)
