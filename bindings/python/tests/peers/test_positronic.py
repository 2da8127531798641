"""Beside positronic's dataset as it is installed: equal, but for what is listed as mended."""

import random

import numpy as np
import pytest

peer = pytest.importorskip(
    "positronic.dataset.vector", reason="the peer is not installed", exc_type=ImportError
)
if not hasattr(peer, "is_realnum_dtype"):
    pytest.skip("another generation of the peer", allow_module_level=True)

from presence import dataset  # noqa: E402


def both(tmp_path, values, times, **options):
    with (
        dataset.SimpleSignalWriter(tmp_path / "ours", **options) as mine,
        peer.SimpleSignalWriter(tmp_path / "theirs.parquet", **options) as its,
    ):
        for value, ts in zip(values, times, strict=True):
            mine.append(value, ts)
            its.append(value, ts)
    return dataset.SimpleSignal(tmp_path / "ours"), peer.SimpleSignal(tmp_path / "theirs.parquet")


def outcome(ask):
    """What comes of it, in a form that can be compared."""
    try:
        found = ask()
    except (KeyError, IndexError, ValueError, TypeError) as error:
        kinds = (KeyError, IndexError, TypeError, ValueError)
        return next(kind.__name__ for kind in kinds if isinstance(error, kind))
    if isinstance(found, tuple):
        return np.asarray(found[0]).tolist(), found[1]
    if len(found) == 0:
        return []
    values, times = found.values(), found.keys()
    return [(np.asarray(value).tolist(), ts) for value, ts in zip(values, times, strict=True)]


def questions(times, seed):
    chance = random.Random(seed)
    near = [*times, *(t + 1 for t in times), *(t - 1 for t in times), -5, 10**6]
    for _ in range(200):
        a, b = chance.choice(near), chance.choice(near)
        step = chance.choice([1, 7, 100])
        some = [chance.choice(near) for _ in range(chance.randrange(4))]
        yield from (
            lambda s, a=a: s.time[a],
            lambda s, a=a: s.time[a + 0.5],
            lambda s, a=a, b=b: s.time[a:b],
            lambda s, a=a: s.time[a:],
            lambda s, b=b: s.time[: max(b, times[0])],
            lambda s, a=a, step=step: s.time[a : a + 500 : step],
            lambda s, some=some: s.time[some],
            lambda s, a=a, b=b: s.time[a:b].time[b - 3 : b + 50] if a < b else s[0],
        )
        i, j = chance.randrange(-60, 60), chance.randrange(-60, 60)
        yield from (
            lambda s, i=i: s[i],
            lambda s, i=i, j=j: s[i:j:3],
            lambda s, i=i, j=j: s[[i, j]],
            lambda s, i=i, j=j: s[i:j][1:],
        )


@pytest.mark.parametrize("kind", ["int", "float", "vector"])
def test_signals_answer_the_same(kind, tmp_path):
    random = np.random.default_rng(1)
    times = np.cumsum(random.integers(1, 40, 50)).tolist()
    values = {
        "int": random.integers(0, 9, 50).tolist(),
        "float": random.random(50).tolist(),
        "vector": list(random.random((50, 3))),
    }[kind]
    ours, theirs = both(tmp_path, values, times)
    assert len(ours) == len(theirs)
    assert (ours.start_ts, ours.last_ts) == (theirs.start_ts, theirs.last_ts)
    for number, ask in enumerate(questions(times, seed=2)):
        mine, its = outcome(lambda ask=ask: ask(ours)), outcome(lambda ask=ask: ask(theirs))
        assert mine == its, number


def test_equal_values_are_dropped_the_same(tmp_path):
    values = np.random.default_rng(3).integers(0, 2, 200).tolist()
    for threshold in (None, 4, 100):
        folder = tmp_path / str(threshold)
        folder.mkdir()
        options = {"drop_equal_bytes_threshold": threshold}
        ours, theirs = both(folder, values, range(200), **options)
        assert outcome(lambda ours=ours: ours[:]) == outcome(lambda theirs=theirs: theirs[:])


def test_its_files_are_read_and_ours_are_read_by_it(tmp_path):
    random = np.random.default_rng(4)
    for kind in (random.random(30).tolist(), list(random.random((30, 4)).astype(np.float32))):
        ours, theirs = both(tmp_path, kind, range(0, 300, 10))
        read = dataset.SimpleSignal(tmp_path / "theirs.parquet")
        assert outcome(lambda read=read: read[:]) == outcome(lambda theirs=theirs: theirs[:])
        copied = dataset.SimpleSignal.from_parquet(tmp_path / "theirs.parquet", tmp_path / "copy")
        assert outcome(lambda copied=copied: copied[:]) == outcome(lambda ours=ours: ours[:])
        ours.to_parquet(tmp_path / "ours.parquet")
        back = peer.SimpleSignal(tmp_path / "ours.parquet")
        assert outcome(lambda back=back: back[:]) == outcome(lambda ours=ours: ours[:])


def test_what_is_ended_stays_so(tmp_path):
    for name, kind in (("ours", dataset.SimpleSignalWriter), ("theirs", peer.SimpleSignalWriter)):
        with kind(tmp_path / name) as writer:
            writer.append(1, 1)
        for wrong in (writer.abort, lambda w=writer: w.append(2, 2)):
            with pytest.raises(RuntimeError, match="finished writer"):
                wrong()
        gone = kind(tmp_path / f"{name}.gone")
        gone.abort()
        gone.abort()
        with pytest.raises(RuntimeError, match="aborted writer"):
            gone.append(1, 1)
