"""The settings of public parsers, each value from the parser's own program."""

from dsr_jax.errors import UserError, nearest
from dsr_jax.parsing.settings import ParserSettings

# Of ImageNet, in R, G, B; torchvision's documented values.
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


def _schp(taxonomy: str, side: int) -> ParserSettings:
    """Self-Correction for Human Parsing (github GoGoDuck912).

    `simple_extractor.py`: the side, ToTensor (range 1), and ImageNet's mean and std in
    the order B, G, R of OpenCV's images; its output, a quarter as large, is enlarged
    with align_corners. `datasets/simple_extractor_dataset.py`: the image is warped with
    its proportions kept, centred, black around.
    """
    return ParserSettings(
        taxonomy=taxonomy,
        input_size=(side, side),
        resize="fit",
        alignment="corners",
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        channels="bgr",
    )


RECIPES: dict[str, ParserSettings] = {
    # github Gaoyiminggithub/Graphonomy, dataloaders/custom_transforms.py: x·2/255 - 1
    # (Normalize_xception_tf_only_img) and B, G, R (ToTensor_only_img); exp/inference/
    # inference.py: the photo's own size times each scale.
    "graphonomy": ParserSettings(
        taxonomy="cihp", mean=(0.5,) * 3, std=(0.5,) * 3, channels="bgr"
    ),
    "schp": _schp("lip", 473),
    "schp-atr": _schp("atr", 512),
    "schp-pascal": _schp("pascal", 512),
    # huggingface mattmdjaga/segformer_b2_clothes, preprocessor_config.json: 512 x 512
    # without regard to proportions, rescaled by 1/255, ImageNet's mean and std; the
    # order of channels of its image processor is R, G, B.
    "segformer-clothes": ParserSettings(
        taxonomy="atr", input_size=(512, 512), mean=_IMAGENET_MEAN, std=_IMAGENET_STD
    ),
}


def recipe_by_name(name: str) -> ParserSettings:
    """One of `RECIPES`.

    Raises:
      UserError: there is none of that name.
    """
    if name not in RECIPES:
        raise UserError(f"recipe '{name}' is unknown: {nearest(name, RECIPES)}")
    return RECIPES[name]
