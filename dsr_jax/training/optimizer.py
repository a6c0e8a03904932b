"""Adam with a schedule of its learning rate, and gradient clipping."""

from dataclasses import dataclass

import optax

CONSTANT, COSINE, LINEAR, STEP = "constant", "cosine", "linear", "step"
SCHEDULES = (CONSTANT, COSINE, LINEAR, STEP)


@dataclass(frozen=True)
class OptimizerSettings:
    """How the weights move; the fields are the config section `optimizer`."""

    learning_rate: float
    """Peak step size (SPIN: 5e-5, released DSR: 3e-5)."""
    b1: float
    """Decay of the first moment."""
    b2: float
    """Decay of the second moment."""
    eps: float
    """Added to the root of the second moment."""
    schedule: str
    """"constant"; "cosine" or "linear", down to `final_fraction` at the last step; or
    "step", which multiplies by `step_factor` at every one of `step_boundaries`."""
    warmup_steps: int
    """Steps of linear growth from 0 to `learning_rate`; 0 for none."""
    final_fraction: float
    """Last learning rate of "cosine" and "linear", as a fraction of the peak."""
    step_boundaries: tuple[int, ...]
    """Steps of the run at which the schedule "step" changes, ascending."""
    step_factor: float
    """What it changes by."""
    clip_norm: float
    """Largest norm of the whole gradient; 0 leaves gradients alone."""
    ema_decay: float
    """Decay of a moving average of the weights, which is then what is evaluated and
    kept as the best; 0 for none. The first steps average over fewer:
    min(ema_decay, (1 + step) / (10 + step))."""

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ValueError(
                f"schedule is {self.schedule!r}: choose one of {', '.join(SCHEDULES)}"
            )
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}: give one above 0")
        if not (0 <= self.b1 < 1 and 0 <= self.b2 < 1):
            raise ValueError(f"b1, b2 are {self.b1}, {self.b2}: give values in [0, 1)")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay is {self.ema_decay}: give a value in [0, 1)")
        bounds = list(self.step_boundaries)
        if bounds != sorted(set(bounds)) or min(bounds, default=1) < 1:
            raise ValueError(
                f"step_boundaries is {self.step_boundaries}: give ascending steps, "
                "from 1 on"
            )
        if self.schedule == STEP and not (bounds and self.step_factor > 0):
            raise ValueError(
                "the schedule 'step' needs step_boundaries and a step_factor above 0"
            )
        if min(self.warmup_steps, self.clip_norm, self.final_fraction) < 0:
            raise ValueError(
                "warmup_steps, clip_norm, final_fraction cannot be below 0"
            )


def learning_rate_schedule(settings: OptimizerSettings, steps: int) -> optax.Schedule:
    """Learning rate of every step of a run of `steps` steps."""
    rate, warmup = settings.learning_rate, settings.warmup_steps
    left = max(steps - warmup, 1)
    if settings.schedule == COSINE:
        body = optax.cosine_decay_schedule(rate, left, settings.final_fraction)
    elif settings.schedule == LINEAR:
        last = rate * settings.final_fraction
        body = optax.linear_schedule(rate, last, left)
    elif settings.schedule == STEP:
        # Boundaries count from the start of the run, as everything in a config does.
        factors = {b - warmup: settings.step_factor for b in settings.step_boundaries}
        body = optax.piecewise_constant_schedule(rate, factors)
    else:
        body = optax.constant_schedule(rate)
    if warmup == 0:
        return body
    # Step 0 already moves: a first update of size 0 would be a wasted step.
    rise = optax.linear_schedule(rate / warmup, rate, warmup)
    return optax.join_schedules([rise, body], [warmup])


def build_optimizer(
    settings: OptimizerSettings, steps: int
) -> optax.GradientTransformation:
    """Adam (Kingma and Ba, 2015) without weight decay, as the released DSR trains."""
    adam = optax.adam(
        learning_rate_schedule(settings, steps),
        b1=settings.b1,
        b2=settings.b2,
        eps=settings.eps,
    )
    # A state of the same form either way, so that a run may go on with clipping.
    clip = optax.identity()
    if settings.clip_norm:
        clip = optax.clip_by_global_norm(settings.clip_norm)
    return optax.chain(clip, adam)
