"""Published peak figures of accelerators: what no program on them can exceed."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Accelerator:
    """One chip, and how chips are joined."""

    name: str
    float32: float
    """FLOP/s of convolutions and matrix products of float32 arrays, as JAX computes
    them by default: in TF32 on these GPUs, in bfloat16 on TPUs."""
    bfloat16: float
    """FLOP/s of those of bfloat16 arrays."""
    memory: float
    """Bytes/s between chip and memory."""
    capacity: float
    """Bytes of memory."""
    near: float
    """Bytes/s that a chip sends to those it is joined with directly."""
    near_count: int
    """How many chips are joined so: one machine's GPUs, one slice's TPUs."""
    far: float
    """Bytes/s that a chip sends over the network, beyond them."""

    def interconnect(self, devices: int) -> float:
        """Bytes/s of one chip's share of a ring over that many."""
        return self.near if devices <= self.near_count else self.far


ACCELERATORS = (
    # NVIDIA's datasheet of A100 80GB SXM (nvidia-1758950): TF32 156, BF16 312 TFLOPS
    # (dense), 2039 GB/s, NVLink 600 GB/s both ways. DGX A100's: 8 ports of 200 Gb/s.
    Accelerator("A100", 156e12, 312e12, 2.039e12, 80e9, 300e9, 8, 25e9),
    # NVIDIA's datasheet of H100 SXM: TF32 989, BF16 1979 TFLOPS with sparsity (half of
    # it without), 3.35 TB/s, NVLink 900 GB/s both ways. DGX H100's: 8 ports of 400
    # Gb/s.
    Accelerator("H100", 494.7e12, 989.4e12, 3.35e12, 80e9, 450e9, 8, 50e9),
    # cloud.google.com/tpu/docs/v4: 275 TFLOPS, 32 GiB, 1200 GB/s. Interconnect: 2400
    # Gb/s each way, in the table that compares it with v5p at the latter's release.
    Accelerator("TPU v4", 275e12, 275e12, 1.2e12, 34.4e9, 300e9, 4096, 300e9),
    # cloud.google.com/tpu/docs/v5e: 197 TFLOPS, 16 GB, 819 GB/s, interconnect 1600 Gb/s
    # each way ("400 GBps bidirectional").
    Accelerator("TPU v5e", 197e12, 197e12, 0.819e12, 16e9, 200e9, 256, 200e9),
    # cloud.google.com/tpu/docs/v5p: 459 TFLOPS, 95 GB, 2765 GB/s, interconnect 4800
    # Gb/s each way.
    Accelerator("TPU v5p", 459e12, 459e12, 2.765e12, 95e9, 600e9, 8960, 600e9),
)
