"""A run's folder that not all machines of a job see."""

import pytest
from ml_collections import ConfigDict

from dsr_jax.errors import UserError
from dsr_jax.training import run_folder
from dsr_jax.training.run_folder import check_shared, open_run_folder


def test_a_folder_that_all_share(tmp_path):
    config = ConfigDict({"a": 1})
    check_shared(open_run_folder(str(tmp_path), config), config)


@pytest.mark.parametrize("other", [None, {"a": 2}])
def test_a_folder_that_is_this_machines_own(tmp_path, monkeypatch, other):
    monkeypatch.setattr(run_folder, "_SHARED_SECONDS", 0.2)
    if other is not None:
        open_run_folder(str(tmp_path), ConfigDict(other))
    with pytest.raises(UserError, match=r"config\.json.* is missing or differs on"):
        check_shared(tmp_path, ConfigDict({"a": 1}))
