"""What a person wears: which garments, how long, how wide. One `Outfit` a person."""

import dataclasses
import typing

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Key
from dsr_jax.data.synthetic.sampling import Draws
from dsr_jax.data.synthetic.settings import HAIR, LOWERS, UPPERS, SyntheticSettings

# Lengths are `Points.height` (−3 sole … 0 hip … 1 neck) or `Points.arm` (0 shoulder …
# 2 wrist); one row for each kind, in the order of the settings' names.
_SLEEVE_ENDS = ((0.0, 0.0), (0.0, 0.12), (0.40, 0.90), (1.75, 2.04))
_LOWER_HEMS = ((-2.12, -1.85), (-1.08, -0.55), (-1.70, -0.62))
_HAIR_LENGTHS = ((0.0, 0.0), (-0.11, -0.07), (-0.02, 0.04), (0.05, 0.26))
"""Metres that the hair falls below the chin."""
_HAIR_VOLUMES = ((0.0, 0.0), (0.006, 0.024), (0.012, 0.030), (0.012, 0.028))

# Beyond any height or arm coordinate: a garment cut there covers nothing.
NOTHING = 9.0
# Folded into the key for what came later, so that the rest is drawn as before.
_LAYERS_KEY = 1_000_006


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Outfit:
    """Scalars of one person. Flags are 0 or 1; a garment not worn is cut at `NOTHING`.

    `*_top`, `*_hem`, `waist`: heights; `*_sleeve`, `glove_cuff`: arm coordinates;
    `*_loose`: looseness in [0, 1]; the rest in metres if not said otherwise.
    """

    thickness: Array
    upper_hem: Array
    upper_sleeve: Array
    upper_loose: Array
    upper_is_dress: Array
    collar: Array
    """How far the collar stands above the base of the neck."""
    neckline: Array
    """How deep the front is cut below it."""
    neckline_width: Array
    neckline_is_v: Array
    waist: Array
    lower_hem: Array
    lower_loose: Array
    lower_is_skirt: Array
    coat_hem: Array
    coat_sleeve: Array
    coat_loose: Array
    coat_open: Array
    """Half the width of the open front; 0 is buttoned."""
    has_flare: Array
    """1 with a skirt, a dress or a long coat: cloth that hangs around both legs."""
    flare_start: Array
    flare_hem: Array
    flare: Array
    """How far the hem stands off the legs."""
    folds: Array
    """Amplitude of its folds, as a fraction of `flare`."""
    fold_count: Array
    """Number of folds around, a whole number."""
    sock_top: Array
    shoe_top: Array
    glove_cuff: Array
    has_scarf: Array
    scarf_length: Array
    hair_length: Array
    hair_volume: Array
    has_hair: Array
    hairline: Array
    """Of the forehead, in head heights above the chin."""
    has_hat: Array
    hat_line: Array
    """Its rim, in head heights above the chin."""
    hat_volume: Array
    hat_brim: Array
    hat_brim_is_round: Array
    has_sunglasses: Array
    has_leggings: Array | None = None
    """1 where what is named `socks` reaches up to the waist and counts as pants."""


def sample_outfit(key: Key[Array, ""], settings: SyntheticSettings) -> Outfit:
    """Draws one person's clothes and hair."""
    draws = Draws(key, 64)
    fields = _upper_and_lower(draws, settings)
    fields |= _coat(draws, settings, fields)
    fields |= _flare(draws, fields)
    fields |= _hands_and_feet(draws, settings, fields)
    fields |= _head(draws, settings)
    if settings.leggings_probability > 0 or settings.vest_probability > 0:
        layers = Draws(jax.random.fold_in(key, _LAYERS_KEY), 4)
        fields |= _more_layers(layers, settings, fields)
    return Outfit(**fields)


def _upper_and_lower(draws: Draws, settings: SyntheticSettings) -> dict[str, Array]:
    dress = draws.chance(settings.dress_probability)
    upper = draws.choice(settings.uppers, UPPERS)
    upper = jnp.where((dress > 0) & (upper == UPPERS.index("bare")), 1, upper)
    bare = upper == UPPERS.index("bare")
    lower = draws.choice(settings.lowers, LOWERS)
    skirt = LOWERS.index("skirt")
    lower = jnp.where(bare & (lower == skirt), LOWERS.index("shorts"), lower)
    long_sleeve = upper == UPPERS.index("long sleeve")
    waist = draws.uniform((0.20, 0.40))
    tucked = draws.chance(jnp.where(lower == skirt, 0.6, 0.3))
    hem = jnp.where(tucked > 0, waist, draws.uniform((-0.24, 0.10)))
    hem = jnp.where(dress > 0, draws.uniform((-1.75, -0.55)), hem)
    turtleneck = draws.chance(jnp.where(long_sleeve, 0.22, 0.0))
    loose = settings.looseness
    return {
        "thickness": draws.uniform(settings.thickness),
        "upper_hem": jnp.where(bare, NOTHING, hem),
        "upper_sleeve": _by_kind(draws, upper, _SLEEVE_ENDS),
        "upper_loose": draws.uniform(loose),
        "upper_is_dress": dress,
        "collar": jnp.where(turtleneck > 0, 0.055, draws.uniform((-0.012, 0.016))),
        "neckline": jnp.where(
            turtleneck > 0, 0.0, draws.uniform((0.0, 0.11)) * draws.chance(0.75)
        ),
        "neckline_width": draws.uniform((0.045, 0.085)),
        "neckline_is_v": draws.chance(0.45),
        "waist": waist,
        "lower_hem": jnp.where(dress > 0, NOTHING, _by_kind(draws, lower, _LOWER_HEMS)),
        "lower_loose": draws.uniform(loose),
        "lower_is_skirt": jnp.where(dress > 0, 0.0, lower == skirt),
    }


def _coat(
    draws: Draws, settings: SyntheticSettings, worn: dict[str, Array]
) -> dict[str, Array]:
    """An open or closed jacket or coat, longer than a skirt beneath it."""
    wears = draws.chance(settings.coat_probability) * (worn["upper_hem"] < NOTHING)
    hem = jnp.where(
        draws.chance(0.5) > 0,
        draws.uniform((-0.25, 0.05)),
        draws.uniform((-1.35, -0.6)),
    )
    beneath = jnp.where(
        worn["lower_is_skirt"] > 0, worn["lower_hem"], worn["upper_hem"]
    )
    hem = jnp.where(beneath < -0.5, jnp.minimum(hem, beneath - 0.12), hem)
    return {
        "coat_hem": jnp.where(wears > 0, hem, NOTHING),
        "coat_sleeve": draws.uniform((1.85, 2.06)),
        "coat_loose": draws.uniform(settings.looseness),
        "coat_open": draws.chance(0.55) * draws.uniform((0.02, 0.07)),
    }


def _flare(draws: Draws, worn: dict[str, Array]) -> dict[str, Array]:
    """The cloth around both legs belongs to the outermost of coat, dress and skirt."""
    coat = worn["coat_hem"] < -0.5
    dress, skirt = worn["upper_is_dress"] > 0, worn["lower_is_skirt"] > 0
    wide = jnp.where(draws.chance(0.45) > 0, draws.uniform((0.06, 0.13)), 0.02)
    hem = jnp.where(dress, worn["upper_hem"], worn["lower_hem"])
    # A skirt begins beneath the shirt that hangs over it.
    under_shirt = jnp.minimum(worn["waist"], worn["upper_hem"] + 0.08)
    return {
        "has_flare": (coat | dress | skirt).astype(jnp.float32),
        "flare_start": jnp.where(coat | dress, worn["waist"], under_shirt),
        "flare_hem": jnp.where(coat, worn["coat_hem"], hem),
        "flare": jnp.where(coat, 0.03 + 0.03 * worn["coat_loose"], wide),
        "folds": draws.uniform((0.05, 0.30)),
        "fold_count": jnp.round(draws.uniform((5.0, 10.0))),
    }


def _more_layers(
    draws: Draws, settings: SyntheticSettings, worn: dict[str, Array]
) -> dict[str, Array]:
    """Leggings under shorts, skirts and dresses; coats without sleeves."""
    lower = jnp.where(worn["upper_is_dress"] > 0, worn["upper_hem"], worn["lower_hem"])
    shows = (lower > -1.6) & (lower < NOTHING)
    leggings = draws.chance(settings.leggings_probability) * shows
    waist = draws.uniform((0.1, 0.2))
    vest = draws.chance(settings.vest_probability) > 0
    return {
        "has_leggings": leggings,
        "sock_top": jnp.where(leggings > 0, waist, worn["sock_top"]),
        "coat_sleeve": jnp.where(vest, draws.uniform((0.0, 0.1)), worn["coat_sleeve"]),
    }


def _hands_and_feet(
    draws: Draws, settings: SyntheticSettings, worn: dict[str, Array]
) -> dict[str, Array]:
    shod = draws.chance(settings.shoes_probability)
    boots = draws.chance(0.16)
    top = jnp.where(
        boots > 0, draws.uniform((-1.75, -1.2)), draws.uniform((-2.2, -1.95))
    )
    high = draws.chance(0.3)
    sock = jnp.where(
        high > 0, draws.uniform((-1.6, -1.12)), draws.uniform((-1.95, -1.8))
    )
    # Trousers go into boots.
    in_boots = boots * shod * (worn["lower_is_skirt"] < 1) * (worn["lower_hem"] < -1.5)
    return {
        "shoe_top": jnp.where(shod > 0, top, -NOTHING),
        "sock_top": jnp.where(
            draws.chance(settings.socks_probability) > 0, sock, -NOTHING
        ),
        "lower_hem": jnp.where(in_boots > 0, top, worn["lower_hem"]),
        "glove_cuff": jnp.where(
            draws.chance(settings.gloves_probability) > 0, 1.9, NOTHING
        ),
    }


def _head(draws: Draws, settings: SyntheticSettings) -> dict[str, Array]:
    kind = draws.choice(settings.hair, HAIR)
    afro = draws.chance(0.06) * (kind < HAIR.index("long"))
    volume = _by_kind(draws, kind, _HAIR_VOLUMES)
    return {
        "has_hair": (kind > HAIR.index("bald")).astype(jnp.float32),
        "hair_length": _by_kind(draws, kind, _HAIR_LENGTHS),
        "hair_volume": jnp.where(afro > 0, 2.2 * volume, volume),
        "hairline": draws.uniform((0.68, 0.86)),
        "has_scarf": draws.chance(settings.scarf_probability),
        "scarf_length": draws.chance(0.6) * draws.uniform((0.12, 0.35)),
        "has_hat": draws.chance(settings.hat_probability),
        "hat_line": draws.uniform((0.66, 0.78)),
        "hat_volume": draws.uniform((0.012, 0.032)),
        "hat_brim": draws.chance(0.6) * draws.uniform((0.035, 0.065)),
        "hat_brim_is_round": draws.chance(0.4),
        "has_sunglasses": draws.chance(settings.sunglasses_probability),
    }


def _by_kind(
    draws: Draws, kind: Array, ranges: tuple[tuple[float, float], ...]
) -> Array:
    """A number in the range of the kind drawn."""
    low, high = jnp.asarray(ranges).T
    return low[kind] + draws.unit() * (high - low)[kind]
