"""How fast the Python package is, beside the numbers to reach and what users would pick instead.

    pip install ./bindings/python polars
    pip install --no-deps dynamic-prefetching-cache==0.1.3 evlib==0.13.2 positronic==0.2.1
    python benches/python/speed.py [importing tracks streams positronic cache events]

Peers that are not installed are left out (positronic needs pyarrow). Medians of the CPU time of the
calling thread, so that a busy machine changes little; each row is one call unless it says
otherwise. The rows of events are by the clock, as the peer works on several threads. Absolute times
are those of the machine.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import presence

RECORDS = 1_000_000
FRAME_US = 33_333


def nanos(call: Callable[[], Any], repeat: int = 7, number: int = 20_000) -> float:
    """The median over ``repeat`` rounds of the time of one of ``number`` calls."""
    rounds = []
    for _ in range(repeat):
        began = time.thread_time_ns()
        for _ in range(number):
            call()
        rounds.append((time.thread_time_ns() - began) / number)
    return median(rounds)


def row(name: str, ns: float, wanted: float | None = None) -> None:
    verdict = "" if wanted is None else ("reached" if ns <= wanted else f"MISSED by {ns / wanted:.2f}")
    target = "" if wanted is None else words(wanted)
    print(f"{name:58} {words(ns):>12} {target:>12}  {verdict}", flush=True)


def words(ns: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:.2f} {unit}"
    return f"{ns:.0f} ns"


def streams(folder: Path) -> None:
    rng = np.random.default_rng(7)
    times = np.cumsum(1_000 + rng.integers(-200, 200, RECORDS))
    values = np.cumsum(rng.standard_normal(RECORDS))
    path = folder / "db"
    with presence.create(path) as db:
        one = db.create_stream("one", "f8").writer()
        pairs = list(zip(times.tolist(), values.tolist()))
        began = time.thread_time_ns()
        for ts, value in pairs:
            one.append(ts, value)
        row("append, one by one, a record", (time.thread_time_ns() - began) / RECORDS, 300)
        one.close()
        rounds = []
        for n in range(5):
            batch = db.create_stream(f"batch{n}", "f8").writer()
            began = time.thread_time_ns()
            for at in range(0, RECORDS, 10_000):
                batch.append_batch(times[at : at + 10_000], values[at : at + 10_000])
            rounds.append((time.thread_time_ns() - began) / RECORDS)
            batch.close()
        row("append_batch of 10,000, a record", median(rounds))
        db.compact()
    rounds = []
    for _ in range(15):
        began = time.process_time_ns()
        db = presence.open(path, read_only=True)
        db["one"].at(int(times[RECORDS // 2]))
        rounds.append(time.process_time_ns() - began)
        db.close()
    row("open and first read, 1 M records", median(rounds), 2e6)
    stream = presence.open(path, read_only=True)["one"]
    asked = iter(rng.choice(times, 200_000).tolist() * 10)
    row("at, a Python int", nanos(lambda: stream.at(next(asked))), 1_000)
    row("at, and its value", nanos(lambda: stream.at(next(asked)).value))
    many = rng.choice(times, 100_000)
    row("at_many of 100,000 in any order, each", nanos(lambda: stream.at_many(many), number=5) / 1e5, 60)
    in_order = np.sort(many)
    row("at_many of 100,000 in order, each", nanos(lambda: stream.at_many(in_order), number=5) / 1e5, 60)
    pairs = [(int(times[at]), int(times[at + 5_000])) for at in range(0, 900_000, 9)]
    spans = iter(pairs * 4)

    def as_numpy() -> None:
        start, stop = next(spans)
        stream.window(start, stop)["value"]

    row("window of 5,000 as numpy", nanos(as_numpy), 3_000)
    whole = stream[:100_000]
    row("iterating a window of 100,000, a record", nanos(lambda: sum(1 for _ in whole), number=1) / 1e5)
    whole = stream[:10_000]
    row("iterating a window of 10,000, a record", nanos(lambda: sum(1 for _ in whole), number=1) / 1e4)
    row("the whole stream to polars", nanos(lambda: stream.to_polars(), number=1))


def tracks(_: Path) -> None:
    tracker = presence.PresenceTracker()
    seen = [(1, 0.9)]
    frames = iter(range(2_000_000))
    for total in (100_000, 1_000_000):
        ns = nanos(lambda: tracker.update_batch(next(frames) * FRAME_US, seen, 0.5), 3, total // 4)
        row(f"PresenceTracker.update_batch, at {total:,} frames", ns, 300)
    ns = nanos(lambda: tracker.query_presence(1, 1_000_000, 20_000_000_000))
    row("PresenceTracker.query_presence", ns, 1_000)
    track = presence.PresenceTrack(30)
    track.set_range(1, 0, 1_000_000 * 33_334)
    row("a million timestamps as numpy", nanos(lambda: track.timestamps(1), number=3), 5e6)


def children_ns() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1e9


def importing(_: Path) -> None:
    def fresh(code: str) -> float:
        rounds = []
        for _ in range(9):
            began = children_ns()
            subprocess.run([sys.executable, "-c", code], check=True)
            rounds.append(children_ns() - began)
        return median(rounds)

    nothing, with_numpy = fresh("pass"), fresh("import numpy")
    row("import presence, beyond an empty program", fresh("import presence") - nothing, 50e6)
    row("import numpy, beyond an empty program", with_numpy - nothing)


def positronic(folder: Path) -> None:
    try:
        from positronic.dataset.vector import SimpleSignal, SimpleSignalWriter  # type: ignore
    except ImportError:
        print("positronic is not installed: its rows are left out")
        return
    path = folder / "signal.parquet"
    began = time.thread_time_ns()
    with SimpleSignalWriter(path) as writer:
        for ts in range(RECORDS):
            writer.append(float(ts), ts * 1_000)
    row("positronic: append, a record", (time.thread_time_ns() - began) / RECORDS)
    began = time.process_time_ns()
    signal = SimpleSignal(path)
    signal.time[100_000_000]
    row("positronic: open and first read, 1 M records", time.process_time_ns() - began)
    row("positronic: time[t]", nanos(lambda: signal.time[150_000_000], number=2_000))
    asked = np.arange(100_000) * 1_000
    row("positronic: 100,000 times, each", nanos(lambda: signal.time[asked].values(), 3, 1) / 1e5)
    row("positronic: window of 5,000", nanos(lambda: signal.time[0:5_000_000].values(), 3, 200))


class Numbers:
    """Loads at once."""

    def load(self, key: int) -> int:
        return key

    def get_available_frames(self) -> set[int]:
        return set()


def hits(module: Any) -> float:
    """A hit on the key that was asked for before the last one."""
    predictor = module.DynamicDataPredictor(possible_jumps=[-5, 5])
    with module.DynamicPrefetchingCache(Numbers(), predictor, max_keys_cached=100) as cache:
        cache.get(50), cache.get(51)
        time.sleep(0.5)
        keys = iter([50, 51] * 1_000_000)
        return nanos(lambda: cache.get(next(keys)), number=5_000)


def cache(_: Path) -> None:
    from presence import prefetch

    row("prefetch: a hit", hits(prefetch), 500)
    try:
        import dynamic_prefetching_cache as peer  # type: ignore
    except ImportError:
        print("dynamic-prefetching-cache is not installed: its row is left out")
        return
    row("dynamic-prefetching-cache: a hit", hits(peer))


EVENTS = 5_000_000


def recording(folder: Path) -> Path:
    """Ten seconds of 640 x 480 pixels, one in fifty events from hot ones."""
    from presence import events

    rng = np.random.default_rng(5)
    x, y = rng.integers(0, 640, EVENTS), rng.integers(0, 480, EVENTS)
    hot = rng.random(EVENTS) < 0.02
    x[hot], y[hot] = rng.integers(0, 5, hot.sum()), 7
    t = np.sort(rng.integers(0, 10_000_000, EVENTS))
    p = rng.integers(0, 2, EVENTS).astype(np.int8)
    path = folder / "recording.raw"
    events.Events(t, x.astype(np.uint16), y.astype(np.uint16), p).write(path, "evt2")
    return path


def clock(call: Callable[[], Any], repeat: int) -> float:
    rounds = []
    for _ in range(repeat):
        began = time.perf_counter_ns()
        call()
        rounds.append(time.perf_counter_ns() - began)
    return median(rounds)


def preprocessed(module: Any, filtering: Any, path: Path) -> Any:
    return filtering.preprocess_events(
        module.load_events(str(path)), t_start=0.5, t_end=9.5, roi=(10, 629, 10, 469)
    ).collect()


def events(folder: Path) -> None:
    from presence import evlib

    path = recording(folder)
    load = clock(lambda: evlib.load_events(path).collect(), 5)
    row("evlib names: load_events, 5 M events", load)
    ours = clock(lambda: preprocessed(evlib, evlib, path), 5)
    row("evlib names: load_events + preprocess_events", ours)
    straight = clock(
        lambda: evlib.preprocess_events(path, 0.5, 9.5, (10, 629, 10, 469)).collect(), 5
    )
    row("evlib names: preprocess_events(path)", straight)
    try:
        import evlib as peer  # type: ignore
    except ImportError:
        print("evlib is not installed: its rows are left out")
        return
    row("evlib: load_events", clock(lambda: peer.load_events(str(path)).collect(), 1))
    theirs = clock(lambda: preprocessed(peer, peer.filtering, path), 1)
    row("evlib: load_events + preprocess_events", theirs)
    print(f"{'':58} {theirs / ours:10.1f} x, 50 to reach; {theirs / straight:.1f} x from the path")


PARTS = (importing, tracks, streams, positronic, cache, events)


def main() -> None:
    print(f"{'':58} {'median':>12} {'to reach':>12}")
    wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for part in PARTS:
            if not wanted or part.__name__ in wanted:
                part(Path(folder))


if __name__ == "__main__":
    main()
