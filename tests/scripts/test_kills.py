"""benchmarks/kills.py with a few kills; its fifty are in benchmarks/results."""

import pytest

from benchmarks.kills import kill_often


@pytest.mark.slow
@pytest.mark.jobs
def test_killed_runs_end_where_an_undisturbed_one_does(tmp_path, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    _, deaths, different = kill_often(tmp_path, 4, seed=10)
    assert not different
    assert len(deaths) == 4
    assert any(death.phase != "start-up" for death in deaths)
