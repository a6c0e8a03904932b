"""Config sections: nothing silent, nothing missing."""

import dataclasses

import pytest

from dsr_jax.errors import UserError, one_line_errors
from dsr_jax.settings import settings_from_config


@dataclasses.dataclass(frozen=True)
class Camera:
    focal_length: float
    crop_size: tuple[int, int]

    def __post_init__(self):
        if self.focal_length <= 0:
            raise ValueError("focal_length must be positive")


def test_builds_settings():
    camera = settings_from_config(
        Camera, {"focal_length": 5.0, "crop_size": [2, 3]}, "camera"
    )
    assert camera == Camera(5.0, (2, 3))


@pytest.mark.parametrize(
    "section, message",
    [
        (
            {"focal_lenght": 5.0, "crop_size": (2, 3)},
            r"camera\.focal_lenght.*'focal_length'",
        ),
        ({"focal_length": 5.0}, r"'camera' lacks the key 'crop_size'"),
        ({"focal_length": -1.0, "crop_size": (2, 3)}, "must be positive"),
    ],
)
def test_names_the_key(section, message):
    with pytest.raises(UserError, match=message):
        settings_from_config(Camera, section, "camera")


def test_one_line_and_exit_code(capsys):
    with pytest.raises(SystemExit) as exit_info, one_line_errors():
        raise UserError("file x:\nis wrong")
    assert exit_info.value.code == 2
    assert capsys.readouterr().err == "error: file x: is wrong\n"


def test_ctrl_c_is_one_line_too(capsys):
    with pytest.raises(SystemExit) as exit_info, one_line_errors():
        raise KeyboardInterrupt
    assert exit_info.value.code == 130
    assert capsys.readouterr().err.startswith("interrupted: ")
