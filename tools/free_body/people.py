"""Draws adults of every build from MakeHuman's shape targets.

A person is a set of values in [0, 1] (gender, age, muscle, weight, …). Each target
belongs to a combination, such as female × old × maximal weight, and enters with the
product of how much the person is each of them. Modifiers of single parts are added.
"""

import dataclasses
import itertools

import numpy as np

from free_body.makehuman import MakeHuman, read_target

_GENDERS, _AGES = ("male", "female"), ("young", "old")
_ORIGINS = ("african", "asian", "caucasian")
_LEVELS = ("min", "average", "max")
_HEIGHTS = ("minheight", "maxheight")
_PROPORTIONS = ("idealproportions", "uncommonproportions")

# Modifier: targets, each with an `-incr` and a `-decr` file, and the standard deviation
# in units of a whole target (1 is about 0.1 m on a thigh, 0.05 m on an upper arm).
_MODIFIERS = {
    "legs": (("legs/measure-upperleg-height", "legs/measure-lowerleg-height"), 0.17),
    "arms": (("arms/measure-upperarm-length", "arms/measure-lowerarm-length"), 0.3),
    "torso": (("torso/torso-scale-vert",), 0.2),
    "shoulders": (("torso/measure-shoulder-dist",), 0.4),
    "hips": (("hip/hip-scale-horiz",), 0.4),
    "belly": (("stomach/stomach-pregnant",), 0.35),
}


@dataclasses.dataclass(frozen=True)
class ShapeTargets:
    """K targets: what each stands for, and its offsets (K, N, 3) in metres."""

    terms: tuple[tuple[str, ...], ...]
    offsets: np.ndarray


def read_shape_targets(source: MakeHuman) -> ShapeTargets:
    """All targets of adults, and the modifiers."""
    names = _macro_targets() | _modifier_targets()
    offsets = np.stack([read_target(source, name) for name in names])
    return ShapeTargets(tuple(names.values()), offsets)


def _macro_targets() -> dict[str, tuple[str, ...]]:
    """File name to the combination that it stands for."""
    names: dict[str, tuple[str, ...]] = {}
    for gender, age in itertools.product(_GENDERS, _AGES):
        for origin in _ORIGINS:
            names[f"macrodetails/{origin}-{gender}-{age}"] = (origin, gender, age)
        for muscle, weight in itertools.product(_LEVELS, _LEVELS):
            build = f"{gender}-{age}-{muscle}muscle-{weight}weight"
            terms = (gender, age, f"{muscle}muscle", f"{weight}weight")
            names[f"macrodetails/universal-{build}"] = terms
            for height in _HEIGHTS:
                names[f"macrodetails/height/{build}-{height}"] = (*terms, height)
            for proportion in _PROPORTIONS:
                path = f"macrodetails/proportions/{build}-{proportion}"
                names[path] = (*terms, proportion)
            for cup in ("min", "max") if gender == "female" else ():
                path = f"breast/{build}-{cup}cup-averagefirmness"
                names[path] = (*terms, f"{cup}cup")
    return names


def _modifier_targets() -> dict[str, tuple[str, ...]]:
    return {
        f"{target}-{direction}": (f"{modifier}-{direction}",)
        for modifier, (targets, _) in _MODIFIERS.items()
        for target in targets
        for direction in ("incr", "decr")
    }


def sample_people(random: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Values (count,) of every term: how much each person is female, heavy and so on.

    Height is narrow, since genders, ages and leg and torso lengths spread it further.
    """
    muscle, weight = _builds(random, count)
    values = {
        **_pair(_two_peaks(random, count), *_GENDERS),
        **_pair(random.beta(1, 2.5, count), *_AGES),
        **_pair(random.beta(24, 42, count), *_HEIGHTS),
        **_pair(random.beta(3, 3, count), *_PROPORTIONS),
        **_triple(muscle, "muscle"),
        **_triple(weight, "weight"),
        **_triple(random.beta(3, 3, count), "cup"),
    }
    values |= dict(zip(_ORIGINS, random.dirichlet([1, 1, 1], count).T, strict=True))
    for modifier, (_, deviation) in _MODIFIERS.items():
        amount = random.normal(0, deviation, count)
        values[f"{modifier}-incr"] = np.maximum(amount, 0)
        values[f"{modifier}-decr"] = np.maximum(-amount, 0)
    return values


def _builds(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Muscle and weight: a quarter each heavy, muscular, thin, and anything.

    MakeHuman's weight means fat only where muscle is low, and bulk where it is high:
    drawn independently, hardly anyone would be heavy.
    """
    build = random.integers(4, size=count)
    low, high = random.beta(1, 6, (2, count)), random.beta(6, 1, (2, count))
    anything = random.uniform(0, 1, (2, count))
    muscle = np.choose(build, [low[0], high[0], anything[0], anything[0]])
    weight = np.choose(build, [high[1], anything[1], low[1], anything[1]])
    return muscle, weight


def _two_peaks(random: np.random.Generator, count: int) -> np.ndarray:
    low, high = random.beta(1, 8, count), random.beta(8, 1, count)
    return np.where(random.random(count) < 0.5, low, high)


def _pair(value: np.ndarray, zero: str, one: str) -> dict[str, np.ndarray]:
    return {zero: 1 - value, one: value}


def _triple(value: np.ndarray, what: str) -> dict[str, np.ndarray]:
    """Linear between the three levels; they sum to 1."""
    return {
        f"min{what}": np.clip(1 - 2 * value, 0, 1),
        f"average{what}": 1 - np.abs(2 * value - 1),
        f"max{what}": np.clip(2 * value - 1, 0, 1),
    }


def target_coefficients(
    targets: ShapeTargets, values: dict[str, np.ndarray]
) -> np.ndarray:
    """How much of each target each person has, (people, K)."""
    columns = [np.prod([values[term] for term in terms], 0) for terms in targets.terms]
    return np.stack(columns, axis=1)
