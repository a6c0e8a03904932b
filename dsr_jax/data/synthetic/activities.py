"""What people do: centre, variation and spread of the joint angles of each activity.

An activity is a closed curve in the space of joint angles, centre + cos φ · `cosine` +
sin φ · `sine` for a phase φ: the gait cycle of a walk, a shift of weight of a standing
person. Individual joints then vary around it. Either side may lead.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from dsr_jax.arrays import Float
from dsr_jax.data.synthetic.joint_angles import vector


@dataclasses.dataclass(frozen=True)
class Activity:
    """Angle vectors (A,) in degrees; `spread` scales `JOINT_SPREAD`."""

    centre: Float[np.ndarray, "A"]
    cosine: Float[np.ndarray, "A"] = dataclasses.field(default_factory=vector)
    sine: Float[np.ndarray, "A"] = dataclasses.field(default_factory=vector)
    spread: float = 1.0


# Standard deviation in degrees of each joint around its activity.
JOINT_SPREAD = vector(
    **dict(tilt=3, roll=2, spine_bend=6, spine_side=5, spine_twist=7),
    **dict(head_bend=10, head_side=6, head_turn=17),
    **dict(hip_flex=6, hip_abduct=4, hip_rotate=7, knee=8, ankle=6),
    **dict(foot_side=4, toes=5),
    **dict(arm_flex=9, arm_abduct=7, arm_twist=14, elbow=12),
    **dict(forearm_twist=18, wrist_flex=12, wrist_side=6, hand=8),
)

# Arms that hang; every activity and gesture starts from here.
HANGING_ARMS = dict(arm_flex=2, arm_abduct=13, arm_twist=10, elbow=16, hand=14)
_STAND = dict(hip_abduct=5, hip_rotate=-8, knee=5, spine_bend=3, **HANGING_ARMS)


def angles(*parts: Mapping[str, float], **more: float) -> Float[np.ndarray, "A"]:
    """An angle vector from several parts; later ones win."""
    merged: dict[str, float] = {}
    for part in (*parts, more):
        merged |= part
    return vector(**merged)


ACTIVITIES: dict[str, Activity] = {
    "standing": Activity(
        centre=angles(_STAND),
        cosine=vector(
            left_knee=11, left_hip_flex=8, right_knee=-6, right_hip_flex=-5, roll=3
        ),
        sine=vector(spine_twist=7, head_turn=12, spine_side=4),
        spread=0.7,
    ),
    "straddling": Activity(
        centre=angles(_STAND, hip_abduct=20, hip_rotate=-12, knee=12, hip_flex=8),
        cosine=vector(left_knee=15, left_hip_flex=12, roll=4, spine_side=-6),
        sine=vector(spine_twist=12),
    ),
    "walking": Activity(
        centre=angles(
            _STAND, hip_abduct=2, hip_flex=8, knee=19, elbow=24, spine_bend=4, tilt=2
        ),
        cosine=vector(
            **dict(left_hip_flex=21, right_hip_flex=-21),
            **dict(left_arm_flex=-22, right_arm_flex=22, spine_twist=7),
            **dict(left_ankle=7, right_ankle=-7),
        ),
        sine=vector(left_knee=-21, right_knee=21, left_elbow=-6, right_elbow=6, roll=2),
        spread=0.7,
    ),
    "running": Activity(
        centre=angles(
            _STAND,
            dict(hip_abduct=2, hip_flex=22, knee=52, tilt=9),
            dict(elbow=88, arm_flex=-4, arm_abduct=16, arm_twist=18, ankle=-4),
        ),
        cosine=vector(
            **dict(left_hip_flex=34, right_hip_flex=-34),
            **dict(left_arm_flex=-36, right_arm_flex=36, spine_twist=12),
            **dict(left_elbow=-12, right_elbow=12),
        ),
        sine=vector(left_knee=-36, right_knee=36, left_ankle=-8, right_ankle=8),
    ),
    "sitting": Activity(
        centre=angles(
            HANGING_ARMS,
            dict(tilt=-6, hip_flex=84, hip_abduct=9, knee=84),
            dict(spine_bend=10, arm_flex=24, arm_abduct=10, arm_twist=22, elbow=52),
        ),
        cosine=vector(left_knee=14, right_knee=-10, hip_abduct=4),
        sine=vector(tilt=13, hip_flex=9, spine_bend=8, arm_flex=14),
    ),
    "lounging": Activity(
        centre=angles(
            HANGING_ARMS,
            dict(tilt=-24, hip_flex=66, hip_abduct=13, knee=46),
            dict(spine_bend=16, head_bend=14, arm_flex=14, arm_abduct=24, elbow=40),
        ),
        cosine=vector(left_knee=24, right_knee=-24, left_hip_flex=10),
        sine=vector(hip_abduct=7, spine_side=7),
    ),
    "crouching": Activity(
        centre=angles(
            HANGING_ARMS,
            dict(tilt=22, hip_flex=108, hip_abduct=14, knee=118),
            dict(ankle=24, spine_bend=14, hip_rotate=-10),
            dict(arm_flex=48, arm_abduct=14, elbow=40, arm_twist=20),
        ),
        cosine=vector(left_knee=12, left_hip_flex=-10, right_ankle=-10),
        sine=vector(knee=-35, hip_flex=-30, tilt=8, ankle=-4),
    ),
    "kneeling": Activity(
        centre=angles(
            HANGING_ARMS,
            dict(left_hip_flex=82, left_knee=86, left_hip_abduct=10),
            dict(right_hip_flex=2, right_knee=90, right_ankle=-10, right_toes=25),
            dict(tilt=6, arm_flex=28, elbow=45, arm_twist=20),
        ),
        cosine=vector(tilt=10, left_hip_flex=10, spine_bend=10),
        sine=vector(spine_twist=12, right_hip_flex=8),
    ),
    "lunging": Activity(
        centre=angles(
            HANGING_ARMS,
            dict(left_hip_flex=66, left_knee=74, right_hip_flex=-12),
            dict(right_knee=26, right_ankle=14, right_toes=22, hip_abduct=6),
            dict(tilt=8, arm_abduct=26, elbow=35),
        ),
        cosine=vector(left_hip_flex=-18, left_knee=-18, tilt=6, right_arm_flex=28),
        sine=vector(spine_twist=14, left_arm_flex=-20, right_arm_flex=20),
    ),
    "bending": Activity(
        centre=angles(
            _STAND,
            dict(tilt=42, hip_flex=48, knee=16, spine_bend=28),
            dict(arm_flex=62, elbow=18, head_bend=-8),
        ),
        cosine=vector(tilt=14, hip_flex=14, arm_flex=12, spine_bend=8),
        sine=vector(spine_twist=12, left_knee=12, left_hip_flex=10),
    ),
    "stepping": Activity(
        centre=angles(
            _STAND,
            dict(left_hip_flex=54, left_knee=66, right_hip_flex=4),
            dict(left_arm_flex=-14, right_arm_flex=24, elbow=34, tilt=6),
        ),
        cosine=vector(left_hip_flex=18, left_knee=16, right_knee=8),
        sine=vector(left_hip_abduct=8, spine_twist=8),
    ),
    "kicking": Activity(
        centre=angles(
            _STAND,
            dict(left_hip_flex=52, left_knee=26, left_ankle=-20),
            dict(right_knee=14, right_hip_flex=-4, tilt=-8, arm_abduct=44),
            dict(elbow=30, right_arm_flex=24, left_arm_flex=-16, spine_bend=10),
        ),
        cosine=vector(left_hip_flex=18, left_knee=-12),
        sine=vector(left_hip_flex=-40, left_knee=36, spine_twist=-12),
    ),
    "jumping": Activity(
        centre=angles(
            HANGING_ARMS,
            dict(hip_flex=30, knee=52, hip_abduct=10, ankle=-26),
            dict(arm_abduct=78, arm_flex=20, elbow=24, spine_bend=4),
        ),
        cosine=vector(
            left_hip_flex=22, left_knee=26, right_hip_flex=-26, right_knee=-18
        ),
        sine=vector(arm_abduct=42, hip_abduct=7),
    ),
    "balancing": Activity(
        centre=angles(
            _STAND,
            dict(left_hip_abduct=28, left_hip_flex=10, left_knee=14),
            dict(right_knee=8, roll=-6, arm_abduct=72, elbow=16, right_hip_abduct=2),
        ),
        cosine=vector(left_hip_flex=26, left_knee=34, tilt=6),
        sine=vector(spine_side=16, left_arm_abduct=42, right_arm_abduct=-24),
    ),
    "stretching": Activity(
        centre=angles(
            _STAND,
            dict(hip_abduct=15, spine_side=18),
            dict(right_arm_abduct=140, right_elbow=30, left_arm_abduct=28),
        ),
        cosine=vector(spine_side=12, roll=7),
        sine=vector(spine_bend=12, right_elbow=20, left_elbow=50, left_arm_twist=40),
    ),
    "lying": Activity(
        centre=angles(
            HANGING_ARMS,
            dict(tilt=-84, hip_flex=9, hip_abduct=8, knee=16),
            dict(arm_abduct=30, elbow=30),
        ),
        cosine=vector(left_hip_flex=26, left_knee=42, right_hip_flex=-4),
        sine=vector(arm_abduct=24, roll=8, elbow=24),
    ),
}
