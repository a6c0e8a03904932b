"""Files appear whole or not at all, and failures are one line."""

import contextlib
import errno
import os
import uuid
from pathlib import Path

from dsr_jax.errors import EnvironmentFault, UserError

# Pixels of an image, 0.8 GB decoded. Cameras have up to 2e8, WebP can hold no more than
# this, and OpenCV refuses four times as many.
MAX_PIXELS = 1 << 28

# Full, lost or broken: it may be another tomorrow.
_OF_THE_DISK = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
        *(errno.EIO, errno.ESTALE, errno.EROFS, errno.ETIMEDOUT),
    }
)


def read_bytes(path: str | Path, what: str) -> bytes:
    """The content of a file; `what` names it in the error ("label map").

    Raises:
      UserError: no such file, a folder, or no permission.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: cannot read this {what}: {error.strerror}; check the path"
        ) from error
    except ValueError as error:  # a NUL in it, or half a character
        raise UserError(
            f"{str(path)!a}: cannot read this {what}: no file can have this name"
        ) from error


def write_bytes(path: str | Path, content: bytes) -> None:
    """Writes a file beside its place and moves it there in one step.

    Raises:
      UserError: the folder is missing or cannot be written to, or the path is a folder.
      EnvironmentFault: the disk is full or lost.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: cannot write: is a folder; name a file")
    temporary = path.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        # Ctrl-C leaves nothing behind either; below a file even this fails.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def to_blame(error: OSError) -> type[UserError]:
    """`EnvironmentFault` if the disk is full or broken, else `UserError`."""
    return EnvironmentFault if error.errno in _OF_THE_DISK else UserError


def cannot_write(path: str | Path, error: OSError) -> UserError:
    """What to raise for a file that cannot be written."""
    return to_blame(error)(
        f"{path}: cannot write: {error.strerror}; check the folder and the disk"
    )
