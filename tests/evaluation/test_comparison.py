"""Reports, the files they are kept in, and the comparison of two of them."""

import dataclasses
import json

import numpy as np
import pytest

from dsr_jax.body import load_body
from dsr_jax.errors import UserError
from dsr_jax.evaluation import (
    PROTOCOLS,
    Bodies,
    bootstrap_interval,
    compare_evaluations,
    evaluate_all,
    format_comparison,
    format_evaluation,
    predict_mean_body,
    read_evaluation,
    write_evaluation,
)
from tests.evaluation.fake_people import FakePeople, fake_people, params_of, predictor

PEOPLE = 8


@pytest.fixture(scope="module")
def results():
    names = [f"walk_{index % 3}" for index in range(PEOPLE)]
    people = fake_people(PEOPLE, sequence=names, valid=[True] * 7 + [False])
    predictors = {"mean": predict_mean_body()}
    for name, seed in (("one", 1), ("other", 4)):
        predictors[name] = predictor(params_of(fake_people(PEOPLE, seed=seed)))
    bodies = Bodies(load_body("free-lite"))
    return evaluate_all(predictors, bodies, FakePeople(people), PROTOCOLS["3dpw"], 8)


@pytest.fixture
def files(results, tmp_path):
    paths = {}
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        paths[name] = tmp_path / name / "evaluation_3dpw.json"
        write_evaluation(paths[name], results[name], results["mean"])
    return paths


def test_the_table_carries_protocol_numbers_groups_and_baseline(results):
    result, baseline = results["one"], results["mean"]
    table = format_evaluation(result, baseline)
    row = next(
        line
        for line in table.splitlines()
        if line.startswith("PA-MPJPE  ") and line[22:31].strip()[0].isdigit()
    )
    assert row.split()[1:] == [
        f"{result.pa_mpjpe:.1f}",
        f"{baseline.pa_mpjpe:.1f}",
        f"{result.pa_mpjpe / baseline.pa_mpjpe:.2f}",
    ]
    for line in result.protocol.lines():
        assert line in table
    assert "measured      7 people" in table and "1 not valid" in table
    walk = next(line for line in table.splitlines() if line.startswith("walk_1"))
    group = result.groups["walk_1"]
    assert walk.split()[1:3] == [str(group["count"]), f"{group['mpjpe']:.1f}"]
    mean = np.mean([one["mpjpe"] for one in result.groups.values()])
    last = table.splitlines()[-1]
    assert last.startswith("mean of the rows") and f"{mean:.1f}" in last


def test_the_json_says_everything_and_the_rows_lie_beside_it(results, files):
    record = json.loads(files["one"].read_text())
    result = results["one"]
    assert record["model"]["mpjpe"] == result.mpjpe
    assert record["model"]["score"] == result.score
    assert record["mean_body"]["pve"] == results["mean"].pve
    protocol = record["model"]["protocol"]
    assert protocol["name"] == "3dpw" and protocol["gender"] == "annotation"
    assert protocol["chosen"]["only_valid"] is True
    assert record["model"]["joint_errors"] == result.joint_errors
    assert record["model"]["groups"] == result.groups
    assert record["model"]["left_out"] == {"not valid": 1}
    saved = read_evaluation(files["one"])
    assert saved.people.keys() == result.people.keys()
    for name, column in result.people.items():
        np.testing.assert_array_equal(saved.people[name], column)
    folder = files["one"].parent
    assert {p.name for p in folder.iterdir()} == {
        "evaluation_3dpw.json",
        "evaluation_3dpw_people.npz",
    }
    with pytest.raises(UserError, match="cannot write"):
        write_evaluation(folder / "nowhere" / "evaluation.json", result)


def test_differences_are_paired_person_by_person(results, files):
    first, second = map(read_evaluation, (files["one"], files["other"]))
    # The second measured fewer people, in another order.
    rows = np.array([5, 0, 3, 2])
    fewer = dataclasses.replace(
        second, people={n: c[rows] for n, c in second.people.items()}
    )
    comparison = compare_evaluations(first, fewer)
    assert (comparison.common, comparison.only_first, comparison.only_second) == (
        4,
        3,
        0,
    )
    assert comparison.by_sequence and comparison.clusters == 2
    by_metric = {one.metric: one for one in comparison.differences}
    for name in ("mpjpe", "pve"):
        ours, theirs = (results[n].people[name][rows] for n in ("one", "other"))
        assert by_metric[name].first == pytest.approx(ours.mean(), rel=1e-12)
        assert by_metric[name].second == pytest.approx(theirs.mean(), rel=1e-12)
        change = theirs - ours
        clusters = results["one"].people["sequence"][rows]
        ends = [change[clusters == c].mean() for c in np.unique(clusters)]
        # Of two recordings, the interval reaches from one to the other.
        assert by_metric[name].low == pytest.approx(min(ends), rel=1e-12)
        assert by_metric[name].high == pytest.approx(max(ends), rel=1e-12)
    assert "score" in by_metric and "pck" not in by_metric
    text = format_comparison(first, fewer, comparison)
    assert "4 in both" in text and "3 only in A" in text
    assert "2 recordings" in text and "too narrow to be trusted" in text


def test_without_recordings_people_are_drawn_and_it_is_said(files):
    unnamed = [
        dataclasses.replace(
            saved, people=saved.people | {"sequence": np.array([""] * 7)}
        )
        for saved in map(read_evaluation, (files["one"], files["other"]))
    ]
    comparison = compare_evaluations(*unnamed)
    assert comparison.clusters == 7 and not comparison.by_sequence
    text = format_comparison(*unnamed, comparison)
    assert "over 7 people" in text and "no recordings are named" in text


def test_an_evaluation_does_not_differ_from_itself(files):
    saved = read_evaluation(files["one"])
    comparison = compare_evaluations(saved, saved)
    assert all(
        (d.low, d.high) == (0, 0) and not d.clear for d in comparison.differences
    )
    assert "no clear difference" in format_comparison(saved, saved, comparison)


def test_other_protocols_and_other_people_are_refused(files):
    first, second = map(read_evaluation, (files["one"], files["other"]))
    hips = dataclasses.asdict(PROTOCOLS["3dpw"].on_hips())
    moved = dataclasses.replace(second, protocol=json.loads(json.dumps(hips)))
    with pytest.raises(UserError, match="'3dpw' and '3dpw-hips' differ in name, root"):
        compare_evaluations(first, moved)
    strangers = second.people | {"name": np.array([f"x{i}" for i in range(7)])}
    with pytest.raises(UserError, match="nobody is in both"):
        compare_evaluations(first, dataclasses.replace(second, people=strangers))
    twins = second.people | {"name": np.array(["x"] * 7)}
    with pytest.raises(UserError, match="two people have one name"):
        compare_evaluations(first, dataclasses.replace(second, people=twins))


def _rewritten(path, change):
    """The JSON file after `change(record)`."""
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    "change",
    {
        "no file of people": lambda r: r.update(people=""),
        "a huge mean": lambda r: r["model"].update(mpjpe=10**400),
        "no data set": lambda r: r["model"]["protocol"].pop("dataset"),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_record_of_another_kind_is_one_line(files, change):
    _rewritten(files["one"], change[1])
    with pytest.raises(UserError, match="not an evaluation of this version"):
        read_evaluation(files["one"])


def test_a_name_that_no_file_has_and_deep_json_are_one_line(files):
    _rewritten(files["one"], lambda r: r.update(people="a\0b"))
    with pytest.raises(UserError, match="cannot be read"):
        read_evaluation(files["one"])
    files["one"].write_text("[" * 200_000 + "]" * 200_000)
    with pytest.raises(UserError, match="not an evaluation of this version"):
        read_evaluation(files["one"])


@pytest.mark.parametrize("column", ["name", "sequence", "mpjpe", "pa_mpjpe"])
@pytest.mark.parametrize("wrong", ["two axes", "another type", "shorter"])
def test_columns_of_another_kind_are_one_line(files, column, wrong):
    path = files["one"].with_name("evaluation_3dpw_people.npz")
    columns = dict(np.load(path))
    columns[column] = {
        "two axes": np.stack([columns[column]] * 2, 1),
        "another type": np.full(len(columns[column]), 1j),
        "shorter": columns[column][:-1],
    }[wrong]
    np.savez(path, **columns)
    with pytest.raises(UserError, match="not the people of an evaluation"):
        read_evaluation(files["one"])


def test_an_npy_file_in_the_place_of_the_people_is_one_line(files):
    with files["one"].with_name("evaluation_3dpw_people.npz").open("wb") as stream:
        np.save(stream, np.arange(3))
    with pytest.raises(UserError, match="cannot be read"):
        read_evaluation(files["one"])


def test_damaged_files_are_one_line(files, tmp_path):
    people = files["one"].with_name("evaluation_3dpw_people.npz")
    whole = people.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"PK\x03\x04 nonsense"):
        people.write_bytes(content)
        with pytest.raises(UserError, match=r"people\.npz: the people of this"):
            read_evaluation(files["one"])
    with people.open("wb") as stream:
        np.savez(stream, name=np.array([{}], object), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read"):
        read_evaluation(files["one"])
    people.write_bytes(files["other"].with_name(people.name).read_bytes())
    with pytest.raises(UserError, match="of another evaluation"):
        read_evaluation(files["one"])
    people.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        read_evaluation(files["one"])
    for text in ("{}", "[1]", "not json", '{"model": {"protocol": 3}}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(UserError, match="not an evaluation of this version"):
            read_evaluation(tmp_path / "bad.json")


def test_the_interval_is_that_of_statistics():
    """Of independent rows, the mean ± 1.96 standard errors."""
    values = np.random.default_rng(0).normal(3.0, 2.0, (400, 1))
    low, high = bootstrap_interval(values, np.arange(400))
    error = 1.96 * values.std() / np.sqrt(400)
    np.testing.assert_allclose(low, values.mean() - error, atol=0.1 * error)
    np.testing.assert_allclose(high, values.mean() + error, atol=0.1 * error)


def test_alike_frames_of_a_recording_widen_the_interval():
    random = np.random.default_rng(0)
    recordings = random.normal(0, 1, 40)
    cluster = np.repeat(np.arange(40), 25)
    values = recordings[cluster][:, None] + 0.1 * random.normal(size=(1000, 1))
    whole = np.ptp(bootstrap_interval(values, cluster))
    frames = np.ptp(bootstrap_interval(values, np.arange(1000)))
    expected = 2 * 1.96 * recordings.std() / np.sqrt(40)
    np.testing.assert_allclose(whole, expected, rtol=0.1)
    assert whole > 4 * frames


def test_the_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        values = random.normal(1.0, 1.0, (60, 1))
        low, high = bootstrap_interval(values, np.arange(60), resamples=500)
        hits += bool(low[0] <= 1.0 <= high[0])
    assert 180 <= hits <= 199
