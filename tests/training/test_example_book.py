"""The names of a step's examples are those of the examples it gets."""

import dataclasses

import jax
import numpy as np
import pytest

from dsr_jax.body import load_body
from dsr_jax.data import write_people
from dsr_jax.errors import UserError
from dsr_jax.training import data_source
from dsr_jax.training.data_source import open_datasets, training_stream
from dsr_jax.training.devices import device_mesh
from dsr_jax.training.example_book import ExampleBook
from tests.training.test_training_from_records import (
    PEOPLE,
    handmade_people,
    settings_with,
)

BATCH = 8


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two data sets in files, whose people are known by their shape."""
    folder = tmp_path_factory.mktemp("files")
    first = handmade_people()
    write_people(folder / "a", [first])
    other = dataclasses.replace(first, betas=first.betas + 100)
    write_people(folder / "b", [other])
    settings = settings_with()
    datasets = tuple(
        (name, *(str(folder / name / part) for part in PARTS), share)
        for name, share in (("a", 0.25), ("b", 0.75))
    )
    data = dataclasses.replace(settings.data, source="folder", datasets=datasets)
    settings = dataclasses.replace(settings, data=data)
    return settings, open_datasets(settings), (first, other)


PARTS = ("annotations.npz", "images", "labels")


def batches(settings, datasets, count, start=0):
    mesh = device_mesh(jax.devices()[:1])
    stream = training_stream(settings, load_body("free-lite"), mesh, start, datasets)
    taken = [jax.device_get(next(stream)) for _ in range(count)]
    stream.close()
    return taken


@pytest.mark.parametrize("start", [0, 5])
def test_names_of_examples_in_files(files, start):
    """Over epochs, from the start and from the middle of a run."""
    settings, datasets, people = files
    book = ExampleBook(settings, datasets)
    for number, batch in enumerate(batches(settings, datasets, 6, start), start + 1):
        names = book.names(number)
        assert len(names) == BATCH
        for name, betas in zip(names, batch.betas, strict=True):
            source, _, file = name.partition(": ")
            index = int(file.removesuffix(".png"))
            expected = people["ab".index(source)].betas[index]
            np.testing.assert_allclose(betas, expected, rtol=1e-5)


def test_names_of_a_pool_of_synthetic_people(monkeypatch):
    people = handmade_people()
    monkeypatch.setattr(data_source, "make_people", lambda *_: people)
    settings = settings_with()
    book = ExampleBook(settings)
    for number, batch in enumerate(batches(settings, [], 5), 1):
        for name, betas in zip(book.names(number), batch.betas, strict=True):
            index = int(name.removeprefix("synthetic person "))
            np.testing.assert_array_equal(betas, people.betas[index])


def test_names_of_people_who_are_made_for_every_step():
    settings = settings_with()
    data = dataclasses.replace(settings.data, pool=0)
    names = ExampleBook(dataclasses.replace(settings, data=data)).names(7)
    assert names[3] == "synthetic person 3 of step 7" and len(names) == BATCH


@pytest.mark.parametrize("pool", [PEOPLE, 0])
def test_the_place_in_the_stream_is_checked(pool):
    settings = settings_with()
    data = dataclasses.replace(settings.data, pool=pool)
    book = ExampleBook(dataclasses.replace(settings, data=data))
    state = book.state(5)
    book.check(state, 5)
    book.check({}, 5)
    with pytest.raises(UserError, match=r"its position is 40 after 6 steps.* 48"):
        book.check(state, 6)
    with pytest.raises(UserError, match="seed"):
        book.check(state | {"seed": 1}, 5)
