"""Data sets for training: by themselves, in other processes, and in torch's loader."""

import multiprocessing
import pickle

import numpy as np
import presence
import pytest
from presence.dataset import FilterDataset, LocalDataset, LocalDatasetWriter

# What forks here has threads of its own, and its children end without them.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

SECOND = 1_000_000_000


@pytest.fixture
def root(tmp_path):
    """Episode n has 100 + n joints at 10 a second, and a command from 1 s on, now and then."""
    root = tmp_path / "root"
    for number in range(3):
        with LocalDatasetWriter(root).new_episode() as episode:
            episode.set_static("task", f"wave {number}")
            for step in range(100 + number):
                episode.append("joints", np.array([step, number], "f4"), step * SECOND // 10)
            for step in range(10, 100, 30):
                episode.append("command", step, step * SECOND // 10)
    return root


def test_whole_episodes(root):
    whole = presence.EpisodeDataset(root, ["joints", "command", "task"], every="0.5s")
    assert len(whole) == 3
    item = whole[1]
    assert set(item) == {"joints", "command", "task"}
    assert item["task"] == "wave 1"
    assert item["joints"][:, 0].tolist() == list(range(10, 101, 5))
    assert item["command"].tolist() == [10] * 6 + [40] * 6 + [70] * 7
    assert item["joints"].flags.writeable
    assert whole.times(1).tolist() == list(range(SECOND, 10 * SECOND + 1, SECOND // 2))
    assert whole.episode(-1) == 2
    for wrong in (3, -4):
        with pytest.raises(IndexError):
            whole[wrong]
    triggered = presence.EpisodeDataset(root, ["joints"], trigger="command")
    assert triggered[2]["joints"].tolist() == [[10, 2], [40, 2], [70, 2]]
    assert [len(triggered.times(index)) for index in range(3)] == [3, 3, 3]
    drawn = presence.EpisodeDataset(root, ["joints"], random=50, seed=7)
    times = drawn.times(0)
    assert len(times) == 50 and (np.diff(times) >= 0).all() and len(set(times.tolist())) > 40
    assert times[0] >= 0 and times[-1] <= 99 * SECOND // 10
    np.testing.assert_array_equal(times, drawn.times(0))
    np.testing.assert_array_equal(drawn[0]["joints"][:, 0], times * 10 // SECOND)
    assert not np.array_equal(times, drawn.times(1))


@pytest.mark.parametrize(
    ("how", "count"),
    [
        # From 1.2 s, for the command begins at 1 s, to 0.1 s before the last joints.
        ({"every": "100ms"}, 87 + 88 + 89),
        ({"trigger": "command"}, 2 * 3),
        ({"random": 20}, 20 * 3),
    ],
)
def test_windows_of_episodes(root, how, count):
    offsets = np.array([-200, 0, 100]) * (SECOND // 1000)
    windows = presence.EpisodeDataset(root, ["joints", "command"], offsets=offsets, **how)
    assert len(windows) == count
    for index in range(0, count, 5):
        times = windows.times(index)
        number = windows.episode(index)
        np.testing.assert_array_equal(np.diff(times), np.diff(offsets))
        assert SECOND <= times[0] and times[-1] <= (99 + number) * SECOND // 10
        item = windows[index]
        steps = times * 10 // SECOND
        np.testing.assert_array_equal(item["joints"], [[step, number] for step in steps])
        np.testing.assert_array_equal(item["command"], np.minimum((steps - 10) // 30, 2) * 30 + 10)


def test_episodes_too_short_for_a_window_have_none(root):
    far = presence.EpisodeDataset(root, ["joints"], random=5, offsets=[0, 99 * SECOND // 10 + 1])
    assert len(far) == 10
    assert {far.episode(index) for index in range(10)} == {1, 2}
    none = presence.EpisodeDataset(root, ["joints"], trigger="joints", offsets=[0, 60 * SECOND])
    assert len(none) == 0
    with pytest.raises(IndexError):
        none[0]


def test_what_episodes_cannot_be(root):
    for wrong in (
        {"names": [], "every": 1},
        {"names": ["joints"]},
        {"names": ["joints"], "every": 1, "random": 3},
        {"names": ["joints"], "every": 0},
        {"names": ["joints"], "every": "-1s"},
        {"names": ["joints"], "every": 5, "offsets": []},
        {"names": ["task"], "random": 5, "offsets": [0]},
    ):
        with pytest.raises(ValueError):
            presence.EpisodeDataset(root, **wrong)
    with pytest.raises(KeyError):
        presence.EpisodeDataset(root, ["nothing"], every="1s")[0]
    with pytest.raises(FileNotFoundError):
        presence.EpisodeDataset(root / "nowhere", ["joints"], every="1s")


def test_of_any_dataset_and_more_episodes_than_are_kept_open(root):
    local = LocalDataset(root)
    second = FilterDataset(local, lambda episode: episode["task"] == "wave 1")
    filtered = presence.EpisodeDataset(second, ["joints"], every="1s")
    assert len(filtered) == 1 and filtered[0]["joints"][0].tolist() == [0, 1]
    many = presence.EpisodeDataset(sum([local] * 20), ["joints"], every="1s")
    numbers = [many[index]["joints"][0, 1] for index in range(len(many))]
    assert numbers == [0, 1, 2] * 20
    assert len(many._open[1]) < len(many)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_each_process_opens_its_own_episodes(root, method):
    windows = presence.EpisodeDataset(root, ["joints"], trigger="joints", offsets=[-SECOND, 0])
    wanted = [windows[index]["joints"].tolist() for index in range(len(windows))]
    assert len(pickle.dumps(windows)) < 20_000
    with multiprocessing.get_context(method).Pool(2) as pool:
        items = pool.map(windows.__getitem__, range(len(windows)))
    assert [item["joints"].tolist() for item in items] == wanted


@pytest.mark.parametrize("method", [None, "fork", "spawn"])
def test_the_loader_of_torch(root, tmp_path, method):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    episodes = presence.EpisodeDataset(
        root, ["joints", "task"], trigger="joints", offsets=[-SECOND, 0]
    )
    path = tmp_path / "db"
    with presence.create(path) as db, db.create_stream("ramp", "f8").writer() as writer:
        writer.append_batch(np.arange(1_000), np.arange(1_000.0))
    windows = presence.WindowDataset(path, ["ramp"], every=10, offsets=[-5, 0])
    for data, name in ((episodes, "joints"), (windows, "ramp")):
        options = {"num_workers": 2, "multiprocessing_context": method} if method else {}
        batches = list(torch.utils.data.DataLoader(data, batch_size=16, **options))
        got = torch.cat([batch[name] for batch in batches])
        wanted = np.stack([data[index][name] for index in range(len(data))])
        assert torch.equal(got, torch.from_numpy(wanted))
    shuffled = torch.utils.data.DataLoader(episodes, batch_size=None, shuffle=True)
    assert {item["task"] for item in shuffled} == {f"wave {number}" for number in range(3)}
