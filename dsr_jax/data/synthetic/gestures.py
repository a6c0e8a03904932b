"""What the arms do, and the head with them; combines with any activity.

Written for the left side to lead; either may.
"""

from dsr_jax.data.synthetic.activities import HANGING_ARMS, Activity, angles
from dsr_jax.data.synthetic.joint_angles import vector

GESTURES: dict[str, Activity] = {
    "hanging": Activity(angles(HANGING_ARMS), cosine=vector(arm_flex=8, elbow=8)),
    "hands on hips": Activity(
        angles(HANGING_ARMS, arm_abduct=46, arm_flex=-8, arm_twist=58, elbow=96),
        cosine=vector(left_arm_abduct=6, right_arm_abduct=-6),
        spread=0.5,
    ),
    "arms crossed": Activity(
        angles(
            HANGING_ARMS,
            dict(left_arm_flex=44, right_arm_flex=36, arm_abduct=6),
            dict(arm_twist=62, left_elbow=94, right_elbow=102, hand=20),
        ),
        spread=0.4,
    ),
    "telephoning": Activity(
        angles(
            HANGING_ARMS,
            dict(left_arm_flex=48, left_arm_abduct=30, left_elbow=134),
            dict(left_arm_twist=-6, left_hand=30, head_side=6),
        ),
        spread=0.6,
    ),
    "texting": Activity(
        angles(
            HANGING_ARMS,
            dict(arm_flex=28, arm_abduct=9, arm_twist=26, elbow=98),
            dict(head_bend=24, forearm_twist=-30, hand=26),
        ),
        cosine=vector(right_elbow=-80, right_arm_flex=-24, right_arm_twist=-18),
        spread=0.6,
    ),
    "eating": Activity(
        angles(
            HANGING_ARMS,
            dict(left_arm_flex=44, left_arm_abduct=20, left_elbow=126),
            dict(left_arm_twist=24, right_arm_flex=28, right_elbow=78),
            dict(right_arm_twist=28, hand=26),
        ),
        cosine=vector(left_elbow=-24, left_arm_flex=-8),
        spread=0.6,
    ),
    "reaching": Activity(
        angles(
            HANGING_ARMS, left_arm_flex=82, left_arm_abduct=12, left_elbow=16, hand=8
        ),
        cosine=vector(right_arm_flex=70, right_elbow=14),
        sine=vector(left_arm_flex=24, left_arm_abduct=14),
    ),
    "reaching up": Activity(
        angles(
            HANGING_ARMS,
            left_arm_flex=150,
            left_arm_abduct=16,
            left_elbow=20,
            head_bend=-10,
        ),
        cosine=vector(right_arm_flex=80, right_arm_abduct=6),
        sine=vector(left_elbow=16, right_arm_flex=62),
    ),
    "waving": Activity(
        angles(
            HANGING_ARMS,
            dict(left_arm_abduct=74, left_arm_flex=10),
            dict(left_arm_twist=-80, left_elbow=92),
        ),
        cosine=vector(left_arm_abduct=18, left_elbow=-20),
    ),
    "throwing": Activity(
        angles(
            HANGING_ARMS,
            dict(left_arm_abduct=94, left_arm_flex=-12, left_elbow=92),
            dict(left_arm_twist=-72, right_arm_flex=56, right_arm_abduct=26),
            dict(right_elbow=24, spine_twist=14),
        ),
        sine=vector(
            left_arm_flex=50, left_elbow=-50, left_arm_twist=50, spine_twist=-26
        ),
    ),
    "guarding": Activity(
        angles(
            HANGING_ARMS,
            dict(arm_flex=44, arm_abduct=12, arm_twist=14, elbow=112),
            dict(hand=38),
        ),
        cosine=vector(left_arm_flex=40, left_elbow=-88),
    ),
    "hands behind": Activity(
        angles(
            HANGING_ARMS, arm_flex=-30, arm_abduct=16, arm_twist=66, elbow=58, hand=20
        ),
        spread=0.4,
    ),
    "arms spread": Activity(
        angles(HANGING_ARMS, arm_abduct=74, arm_twist=0, elbow=14),
        cosine=vector(arm_abduct=26, elbow=-6),
        sine=vector(left_arm_abduct=22, right_arm_abduct=-22),
    ),
    "carrying": Activity(
        angles(
            HANGING_ARMS, arm_flex=20, arm_abduct=13, arm_twist=12, elbow=84, hand=24
        ),
        cosine=vector(elbow=14, arm_flex=8),
        spread=0.6,
    ),
    "hands in pockets": Activity(
        angles(
            HANGING_ARMS, arm_abduct=21, arm_flex=-8, arm_twist=22, elbow=38, hand=6
        ),
        spread=0.4,
    ),
    "hands behind head": Activity(
        angles(
            HANGING_ARMS, arm_flex=128, arm_abduct=36, arm_twist=-8, elbow=122, hand=12
        ),
        spread=0.5,
    ),
}
