"""Episodes and datasets beside positronic's as it is installed: equal, but for what is mended."""

import importlib
import importlib.util
import json
import random
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
from presence import dataset

pytest.importorskip(
    "positronic.dataset.vector", reason="the peer is not installed", exc_type=ImportError
)


@pytest.fixture(scope="module")
def peer():
    """Its datasets, without what they import and do not need: video, and its other tools."""
    spec = importlib.util.find_spec("positronic")
    utils = types.ModuleType("positronic.utils")
    utils.__path__ = [str(Path(spec.origin).with_name("utils"))]
    missing = {"positronic.utils": utils}
    if importlib.util.find_spec("av") is None:
        missing["av"] = types.ModuleType("av")
        missing["av"].VideoFrame = object
    before = {name: sys.modules.get(name) for name in missing}
    sys.modules.update(missing)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield importlib.import_module("positronic.dataset.local_dataset")
    except ImportError as why:
        pytest.skip(f"the peer cannot be imported: {why}")
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def plain(value):
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


KINDS = (KeyError, IndexError, TypeError, ValueError, RuntimeError, OSError)


def outcome(ask):
    """What comes of it, in a form that can be compared."""
    try:
        return plain(ask())
    except KINDS as error:
        return next(kind.__name__ for kind in KINDS if isinstance(error, kind))


def record(writer, seed):
    """An episode of random signals with times of their own."""
    chance = np.random.default_rng(seed)
    values = {
        "joints": lambda: chance.random(3),
        "force": lambda: float(chance.random()),
        "step": lambda: int(chance.integers(0, 5)),
        "grip.closed": lambda: bool(chance.integers(0, 2)),
        "depth": lambda: chance.integers(0, 900, 4).astype(np.uint16),
    }
    with writer.new_episode(created_ts_ns=1_000 + seed) as episode:
        for name, value in values.items():
            times = 1_000 + np.cumsum(chance.integers(1, 90, chance.integers(1, 40)))
            for ts in times.tolist():
                episode.append(name, value(), ts)
        episode.set_static("task", f"pick {seed}")
        episode.set_static("about", {"list": [1, 2.5, True, "x"], "raw": b"\x00\xff", "nest": {}})


COUNT = 5


@pytest.fixture(scope="module")
def roots(peer, tmp_path_factory):
    roots = tmp_path_factory.mktemp("ours"), tmp_path_factory.mktemp("theirs")
    for module, root in zip((dataset, peer), roots, strict=True):
        for seed in range(COUNT):
            record(module.LocalDatasetWriter(root), seed)
    return roots


@pytest.fixture
def both(peer, roots):
    ours, theirs = roots
    return dataset.LocalDataset(ours), peer.LocalDataset(theirs)


def equal(both, ask, what):
    assert outcome(lambda: ask(both[0])) == outcome(lambda: ask(both[1])), what


def questions(seed):
    chance = random.Random(seed)
    for _ in range(20):
        a, step = chance.randrange(900, 5_000), chance.choice([1, 7, 100])
        some = [chance.randrange(1_080, 5_000) for _ in range(chance.randrange(4))]
        for key in (
            a,
            a + 0.5,
            np.float64(a),
            slice(a, a + 500, step),
            slice(a, None, 50),
            slice(None, a, 50),
            slice(a, a + 500),
            slice(a, a + 500, 0),
            some,
            tuple(some),
            np.array(some, np.int64),
            np.array(some) + 0.5,
            "a time",
            None,
        ):
            yield key, lambda episode, key=key: episode.time[key]


def test_episodes_answer_the_same(both):
    assert len(both[0]) == len(both[1]) == COUNT
    for number in range(COUNT):
        pair = both[0][number], both[1][number]
        for name in ("start_ts", "last_ts", "duration_ns", "static"):
            equal(pair, lambda episode, name=name: getattr(episode, name), name)
        equal(pair, len, "len")
        equal(pair, sorted, "names")
        equal(pair, lambda episode: sorted(episode.signals), "signals")
        equal(pair, lambda episode: episode["nothing"], "what is missing")
        for name in pair[1].signals:
            equal(pair, lambda one, name=name: [list(map(plain, r)) for r in one[name]], name)
        # Its episode forgets what nobody holds.
        held = pair[1].signals
        for key, ask in questions(number):
            equal(pair, ask, key)
        assert held


def test_what_is_known_of_a_recording(both):
    for mine, its in zip(*both, strict=True):
        # Ours has an identity, too.
        assert set(mine.meta) == set(its.meta) | {"uid"}
        for name in ("schema_version", "created_ts_ns"):
            assert mine.meta[name] == its.meta[name]
        assert set(mine.meta["writer"]) <= set(its.meta["writer"])
        assert Path(mine.meta["path"]).name == Path(its.meta["path"]).name


def test_datasets_are_indexed_the_same(both):
    def task(found):
        return [one["task"] for one in found] if isinstance(found, list) else found["task"]

    def late(episode):
        return episode["task"] > "pick 1"

    keys = [
        0,
        -1,
        COUNT,
        -COUNT - 1,
        np.int32(2),
        slice(1, None, 2),
        slice(None, None, -1),
        [],
        [3, 0],
    ]
    keys += [
        [-1, 1],
        (0, 1),
        np.array([2, 2]),
        [COUNT],
        np.array([True] * COUNT),
        [True, False],
        "0",
        "x",
    ]
    kinds = importlib.import_module("positronic.dataset.dataset")
    both_kinds = [
        (
            each,
            each + each,
            sum([each, each, each]),
            module.FilterDataset(each, late),
            module.CachedDataset(each),
        )
        for each, module in zip(both, (dataset, kinds), strict=True)
    ]
    for mine, its in zip(*both_kinds, strict=True):
        assert len(mine) == len(its) and mine.meta == its.meta
        assert [one["task"] for one in mine] == [one["task"] for one in its]
        for key in keys:
            equal((mine, its), lambda one, key=key: task(one[key]), key)
    equal(both, lambda one: one + 1, "a sum with a number")


def test_what_is_mended(both, peer, tmp_path):
    """As the docstring of ``presence.dataset`` lists it."""
    mine, its = both[0][0], both[1][0]
    ts = mine.last_ts
    assert outcome(lambda: its.time[np.int64(ts)]) == "TypeError"
    assert outcome(lambda: mine.time[np.int64(ts)]) == outcome(lambda: its.time[ts])
    for module, refused, ended in ((dataset, "ValueError", None), (peer, None, "ValueError")):
        episode = module.LocalDatasetWriter(tmp_path / module.__name__).new_episode()
        episode.append("a", 1, 1)
        assert outcome(lambda e=episode: e.append("a", np.zeros(2), 2)) == refused
        assert outcome(lambda e=episode: e.__exit__(None, None, None)) == ended


def test_its_episodes_are_read_here(roots, both):
    read = dataset.LocalDataset(roots[1])
    for number in range(COUNT):
        pair = read[number], both[1][number]
        equal(pair, lambda episode: episode.static, "static")
        held = pair[1].signals
        for key, ask in questions(COUNT + number):
            equal(pair, ask, key)
        assert held


def refusals(module, root):
    """What comes of writing what is wrong."""
    writer = module.LocalDatasetWriter(root)
    first = writer.new_episode()
    steps = [
        lambda e=first: e.append("a", 1, 10),
        lambda e=first: e.append("a", 2, 10),
        lambda e=first: e.append("a", 2.5, 11),
        lambda e=first: e.set_static("a", 1),
        lambda e=first: e.set_static("s", [1, {"x": b"y"}]),
        lambda e=first: e.set_static("s", 2),
        lambda e=first: e.append("s", 1, 10),
        *(
            lambda e=first, bad=bad: e.set_static("bad", bad)
            for bad in (None, {1: 2}, {1}, np.zeros(2), [None])
        ),
        lambda: len(module.LocalDataset(root)),
        lambda e=first: len(module.DiskEpisode(e.path)),
        lambda e=first: e.__exit__(None, None, None),
        lambda e=first: e.append("a", 3, 30),
        lambda e=first: e.set_static("t", 3),
        lambda e=first: e.abort(),
        lambda: len(module.LocalDataset(root)),
        lambda: module.LocalDataset(root)[0].static,
    ]
    outcomes = [outcome(step) for step in steps]
    gone = writer.new_episode()
    gone.append("a", 1, 1)
    gone.abort()
    gone.abort()
    outcomes += [outcome(lambda e=gone: e.append("a", 2, 2)), gone.path.exists()]
    with pytest.raises(ZeroDivisionError), writer.new_episode() as broken:
        broken.append("a", 1, 1)
        raise ZeroDivisionError
    outcomes += [broken.path.exists(), len(module.LocalDataset(root))]
    with writer.new_episode() as empty:
        pass
    made = module.LocalDataset(root)[1]
    outcomes += [empty.path.name, len(made), made.duration_ns]
    outcomes += [outcome(lambda made=made: made.start_ts)]
    outcomes += [json.loads((empty.path / "static.json").read_text())]
    outcomes += [sorted(path.name for path in root.iterdir())]
    outcomes += [outcome(lambda: module.LocalDataset(root / "nowhere"))]
    return outcomes


def test_writers_refuse_the_same(peer, tmp_path):
    assert refusals(dataset, tmp_path / "ours") == refusals(peer, tmp_path / "theirs")


def found(module, root):
    """What is found in a tree that grows."""
    outcomes = [outcome(lambda: module.load_all_datasets(root))]
    for seed, place in enumerate(["b/deep", "a", "b", ".", "c"]):
        record(module.LocalDatasetWriter(root / place), seed)
        outcomes.append([episode["task"] for episode in module.load_all_datasets(root)])
    (root / "file").touch()
    (root / "d").mkdir()
    outcomes += [outcome(lambda: module.load_all_datasets(root / "file"))]
    outcomes += [outcome(lambda: module.load_all_datasets(root / "d"))]
    return outcomes


def test_trees_of_datasets_are_found_the_same(peer, tmp_path):
    assert found(dataset, tmp_path / "ours") == found(peer, tmp_path / "theirs")
