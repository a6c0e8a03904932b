"""Adam with an optional warm-up, cosine decay and gradient clipping."""

from dataclasses import dataclass

import optax

SCHEDULES = ("constant", "cosine")


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
    """"constant" or "cosine" (down to `final_fraction` at the last step)."""
    warmup_steps: int
    """Steps of linear growth from 0 to `learning_rate`; 0 for none."""
    final_fraction: float
    """Last learning rate of the cosine, as a fraction of the peak."""
    clip_norm: float
    """Largest norm of the whole gradient; 0 leaves gradients alone."""

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ValueError(
                f"schedule is {self.schedule!r}: choose one of {', '.join(SCHEDULES)}"
            )
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate is {self.learning_rate}: give one above 0")
        if not (0 <= self.b1 < 1 and 0 <= self.b2 < 1):
            raise ValueError(f"b1, b2 are {self.b1}, {self.b2}: give values in [0, 1)")
        if min(self.warmup_steps, self.clip_norm, self.final_fraction) < 0:
            raise ValueError(
                "warmup_steps, clip_norm, final_fraction cannot be below 0"
            )


def learning_rate_schedule(settings: OptimizerSettings, steps: int) -> optax.Schedule:
    """Learning rate of every step of a run of `steps` steps."""
    if settings.schedule == "constant":
        body = optax.constant_schedule(settings.learning_rate)
    else:
        body = optax.cosine_decay_schedule(
            settings.learning_rate,
            decay_steps=max(steps - settings.warmup_steps, 1),
            alpha=settings.final_fraction,
        )
    if settings.warmup_steps == 0:
        return body
    # Step 0 already moves: a first update of size 0 would be a wasted step.
    warmup = optax.linear_schedule(
        settings.learning_rate / settings.warmup_steps,
        settings.learning_rate,
        settings.warmup_steps,
    )
    return optax.join_schedules([warmup, body], [settings.warmup_steps])


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
