"""Every knob of the synthetic people."""

import dataclasses

from dsr_jax.data.synthetic.activities import ACTIVITIES
from dsr_jax.data.synthetic.gestures import GESTURES
from dsr_jax.errors import nearest

Weights = tuple[tuple[str, float], ...]
"""Names and how often each is drawn, relative to the others."""

Range = tuple[float, float]

LOWERS = ("trousers", "shorts", "skirt")
UPPERS = ("bare", "sleeveless", "t-shirt", "long sleeve")
OBJECTS = ("box", "bottle", "telephone", "ball", "bag")
HAIR = ("bald", "short", "medium", "long")


@dataclasses.dataclass(frozen=True)
class SyntheticSettings:
    """How the people look, stand, dress and are photographed.

    Hashable, so that it can be a static argument of a jitted function. Probabilities
    are in [0, 1]; a range is (lowest, highest).
    """

    image_size: int = 224
    """Pixels of the square crop's side."""
    supersampling: int = 2
    """Samples along a pixel's side: averaged in the image, voted on in the labels."""
    people_at_once: int = 16
    """How many are rendered together: bounds the memory of large batches."""

    shape_spread: float = 1.0
    """Standard deviation of each beta."""
    shape_limit: float = 2.5
    """Betas are clipped to ± this."""

    activities: Weights = (
        *(("standing", 0.26), ("straddling", 0.05), ("walking", 0.17)),
        *(("running", 0.07), ("sitting", 0.12), ("lounging", 0.03)),
        *(("crouching", 0.04), ("kneeling", 0.03), ("lunging", 0.04)),
        *(("bending", 0.03), ("stepping", 0.04), ("kicking", 0.03)),
        *(("jumping", 0.03), ("balancing", 0.03), ("stretching", 0.02)),
        ("lying", 0.01),
    )
    """What the legs and the trunk do; see `activities.ACTIVITIES`."""
    gestures: Weights = (
        *(("hanging", 0.16), ("hands on hips", 0.07), ("arms crossed", 0.06)),
        *(("telephoning", 0.06), ("texting", 0.07), ("eating", 0.06)),
        *(("reaching", 0.09), ("reaching up", 0.06), ("waving", 0.06)),
        *(("throwing", 0.05), ("guarding", 0.05), ("hands behind", 0.03)),
        *(("arms spread", 0.06), ("carrying", 0.06), ("hands in pockets", 0.04)),
        ("hands behind head", 0.02),
    )
    """What the arms do instead of the activity's own; see `gestures.GESTURES`."""
    gesture_probability: float = 0.5
    """How often the arms make a gesture instead of what the activity has them do."""
    pose_spread: float = 1.0
    """Scales the variation of each joint around its activity."""

    frontal_probability: float = 0.6
    """How often the person roughly faces the camera; otherwise any direction."""
    frontal_spread_degrees: float = 35.0
    """Standard deviation of the direction of those who do."""
    yaw_limit_degrees: float = 180.0
    """Largest turn away from the camera."""
    pitch_degrees: Range = (-8.0, 24.0)
    """Camera elevation: positive looks down on the person."""
    roll_spread_degrees: float = 4.0
    """Standard deviation of the camera's roll."""

    box_margin: float = 1.2
    """Side of the crop over the longer side of the box of the joints; 1.2 in SPIN."""
    scale_range: Range = (0.85, 1.15)
    """Factor on the size of the person in the crop."""
    shift_range: float = 0.08
    """Largest shift of the person, in half-sides of the crop."""
    truncation_probability: float = 0.12
    """How often the crop shows only the upper body, down to somewhere on the legs."""

    uppers: Weights = (
        *(("bare", 0.03), ("sleeveless", 0.14), ("t-shirt", 0.43)),
        ("long sleeve", 0.40),
    )
    lowers: Weights = (("trousers", 0.60), ("shorts", 0.24), ("skirt", 0.16))
    dress_probability: float = 0.10
    coat_probability: float = 0.14
    leggings_probability: float = 0.0
    """How often those whose legs show wear leggings beneath; their label is pants."""
    vest_probability: float = 0.0
    """How many of the coats have no sleeves."""
    shoes_probability: float = 0.88
    socks_probability: float = 0.60
    hair: Weights = (("bald", 0.05), ("short", 0.45), ("medium", 0.24), ("long", 0.26))
    hair_sheet_probability: float = 0.0
    """How often medium and long hair hangs free instead of being a part of the head."""
    hat_probability: float = 0.15
    gloves_probability: float = 0.05
    scarf_probability: float = 0.07
    sunglasses_probability: float = 0.06
    thickness: Range = (0.003, 0.009)
    """Cloth and air beneath tight clothes, metres."""
    looseness: Range = (0.0, 1.0)
    """From tight to wide; 1 adds up to about 4 cm where clothes hang free."""

    pattern_probability: float = 0.45
    image_background_probability: float = 1.0
    """How often a given background image is used instead of a procedural one."""
    occluder_probability: float = 0.2
    occluder_size: Range = (0.12, 0.38)
    """Half-sides of an occluding object, in half-sides of the crop."""
    object_probability: float = 0.0
    """How often something is in one of the hands; its label is background."""
    objects: Weights = (
        *(("box", 0.2), ("bottle", 0.2), ("telephone", 0.2), ("ball", 0.15)),
        ("bag", 0.25),
    )
    bystander_probability: float = 0.0
    """How often another person is in the frame; the labels show their clothes too."""
    bystander_front_probability: float = 0.35
    """How often that person is in front instead of behind."""
    ambient_light: Range = (0.42, 0.65)
    brightness: Range = (0.85, 1.2)
    contrast: Range = (0.8, 1.15)
    blur: Range = (0.0, 0.6)
    """Weight of the neighbouring pixels."""
    noise: Range = (0.0, 0.03)
    """Standard deviation of the sensor noise, of a full scale of 1."""

    motion_blur_probability: float = 0.0
    motion_blur: Range = (0.01, 0.05)
    """How far the camera moves, in sides of the crop, in any direction."""
    low_resolution_probability: float = 0.0
    low_resolution: Range = (1.5, 4.0)
    """Pixels of the crop to one of the photograph."""
    jpeg_probability: float = 0.0
    jpeg_quality: Range = (20.0, 80.0)
    """On the Independent JPEG Group's scale of 1 to 100; colour is halved (4:2:0)."""

    parser_noise: float = 0.0
    """Severity of the errors in the labels; 1 is a mediocre parser: `ParserNoise`."""

    def __post_init__(self):
        """Refuses what cannot be drawn.

        Raises:
          ValueError: naming the field, with what it holds and what it may hold.
        """
        _check_names("activities", self.activities, tuple(ACTIVITIES))
        _check_names("gestures", self.gestures, tuple(GESTURES))
        _check_names("uppers", self.uppers, UPPERS)
        _check_names("lowers", self.lowers, LOWERS)
        _check_names("hair", self.hair, HAIR)
        _check_names("objects", self.objects, OBJECTS)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_probability") and not 0 <= value <= 1:
                raise ValueError(f"{field.name} must be in [0, 1], got {value}")
            if field.type is Range:
                _check_range(field.name, value)
        for name in ("image_size", "supersampling", "people_at_once"):
            _check_minimum(name, getattr(self, name), 1)
        for name in _NOT_NEGATIVE:
            _check_minimum(name, getattr(self, name), 0)
        if self.image_size < 16:
            raise ValueError(f"image_size must be at least 16, got {self.image_size}")
        if not (self.box_margin > 0 and self.scale_range[0] > 0):
            raise ValueError("box_margin and scale_range must be positive")
        if not 1 <= self.jpeg_quality[0] <= self.jpeg_quality[1] <= 100:
            raise ValueError(
                f"jpeg_quality must be in [1, 100], got {self.jpeg_quality}"
            )
        if self.low_resolution[0] < 1 or not 0 <= self.motion_blur[0] <= 1:
            raise ValueError("low_resolution must be at least 1, motion_blur positive")


def whole_people(image_size: int) -> SyntheticSettings:
    """People seen from all sides, whole and with nothing in front of them.

    For learning where labels are: no smooth pictures are needed, so that one sample a
    pixel is enough.
    """
    return SyntheticSettings(
        image_size=image_size,
        supersampling=1,
        frontal_probability=0.0,
        truncation_probability=0.0,
        occluder_probability=0.0,
    )


_NOT_NEGATIVE = (
    *("shape_spread", "shape_limit", "pose_spread", "frontal_spread_degrees"),
    *("yaw_limit_degrees", "roll_spread_degrees", "shift_range"),
    "parser_noise",
)


def _check_names(field: str, weights: Weights, known: tuple[str, ...]) -> None:
    for name, weight in weights:
        if name not in known:
            raise ValueError(f"{field} has no '{name}': {nearest(name, known)}")
        if not weight >= 0:
            raise ValueError(f"{field}: '{name}' must not be negative, got {weight}")
    if not sum(weight for _, weight in weights) > 0:
        raise ValueError(f"{field}: one weight at least must be positive")


def _check_range(field: str, value: Range) -> None:
    if len(value) != 2 or not value[0] <= value[1]:
        raise ValueError(f"{field} must be (lowest, highest), got {value}")


def _check_minimum(field: str, value: float, minimum: float) -> None:
    if not value >= minimum:
        raise ValueError(f"{field} must be at least {minimum}, got {value}")
