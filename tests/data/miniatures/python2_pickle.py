"""Pickles as Python 2 wrote them: byte strings, and NumPy by its old module names."""

import io
import pickle
import struct


class _Python2Pickler(pickle._Pickler):
    """Protocol 2 whose strings are Python 2's `str`: bytes without an encoding."""

    dispatch = pickle._Pickler.dispatch.copy()

    def _save_string(self, value):
        data = value.encode("latin1") if isinstance(value, str) else bytes(value)
        if len(data) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) + data)
        else:
            self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    dispatch[str] = _save_string
    dispatch[bytes] = _save_string


def python2_pickle(value) -> bytes:
    buffer = io.BytesIO()
    _Python2Pickler(buffer, protocol=2).dump(value)
    return buffer.getvalue().replace(
        b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"
    )
