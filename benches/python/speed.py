"""How fast the Python package is, beside the numbers to reach and what users would pick instead.

    pip install ./bindings/python positronic   # positronic is left out where it is missing
    python benches/python/speed.py

Medians of the CPU time of the calling thread, so that a busy machine changes little; each row is
one call unless it says otherwise. Absolute times are those of the machine.
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
    row("at_many of 100,000, each", nanos(lambda: stream.at_many(many), number=5) / 100_000, 60)
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


def tracks() -> None:
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


def importing() -> None:
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
        from positronic.dataset.signal import SimpleSignal, SimpleSignalWriter  # type: ignore
    except ImportError:
        try:
            from positronic.dataset.vector import SimpleSignal, SimpleSignalWriter  # type: ignore
        except ImportError:
            print("positronic is not installed: its rows are left out")
            return
    path = folder / "signal.parquet"
    began = time.thread_time_ns()
    with SimpleSignalWriter(path) as writer:
        for ts in range(200_000):
            writer.append(float(ts), ts * 1_000)
    row("positronic: append, a record", (time.thread_time_ns() - began) / 200_000)
    began = time.thread_time_ns()
    signal = SimpleSignal(path)
    signal.time[100_000_000]
    row("positronic: open and first read, 200,000 records", time.thread_time_ns() - began)
    row("positronic: time[t]", nanos(lambda: signal.time[150_000_000], number=2_000))
    asked = np.arange(100_000) * 1_000
    row("positronic: 100,000 times, each", nanos(lambda: signal.time[asked].values(), 3, 1) / 1e5)
    row("positronic: window of 5,000", nanos(lambda: signal.time[0:5_000_000].values(), 3, 200))


def main() -> None:
    print(f"{'':58} {'median':>12} {'to reach':>12}")
    importing()
    tracks()
    with tempfile.TemporaryDirectory() as folder:
        streams(Path(folder))
        positronic(Path(folder))


if __name__ == "__main__":
    main()
