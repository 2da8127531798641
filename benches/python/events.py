"""How fast event recordings are read, beside the readers that users would pick instead.

    pip install numpy h5py hdf5plugin evlib==0.13.2 expelliarmus==1.1.12 aedat==2.3.0 faery==0.7.1 dv-processing==2.0.4
    cargo build --release -p presence-events --examples
    python benches/python/events.py TARGET/release/examples RECORDING [WIDTH HEIGHT]

The recording is written in every format, then read by us and by all that read it: files in the page
cache, one core, the best of some rounds. A reader that gives other events than we do has no number.
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ["POLARS_MAX_THREADS"] = "1"
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import aedat  # noqa: E402
import dv_processing  # noqa: E402
import evlib  # noqa: E402
import expelliarmus  # noqa: E402
import faery  # noqa: E402
import h5py  # noqa: E402
import numpy as np  # noqa: E402

TESTS = pathlib.Path(__file__).parents[2] / "engine/presence-events/tests/peers.py"
SECONDS = 1.0


def load_evlib(path):
    evlib.load_events(str(path), sort=False).collect()


def load_expelliarmus(encoding):
    return lambda path: expelliarmus.Wizard(encoding=encoding).read(str(path))


def load_faery(path):
    for _ in faery.events_stream_from_file(path, dimensions_fallback=(1280, 720)):
        pass


def load_aedat(path):
    for _ in aedat.Decoder(str(path)):
        pass


def load_dv_processing(path):
    reader = dv_processing.io.MonoCameraRecording(str(path))
    while reader.isRunning():
        reader.getNextEventBatch()


def load_h5py(path):
    with h5py.File(path) as file:
        if "CD" in file:
            file["CD/events"][:]
        else:
            for name in "txyp":
                file["events"][name][:]


# Format, ending, and its readers: name, the test's reader, what is timed.
ROWS = [
    ("evt2", "raw", [("evlib", "by_evlib", load_evlib), ("faery", "by_faery", load_faery),
                     ("expelliarmus", "evt2", load_expelliarmus("evt2"))]),
    ("evt3", "raw", [("evlib", "by_evlib", load_evlib), ("faery", "by_faery", load_faery),
                     ("expelliarmus", "evt3", load_expelliarmus("evt3"))]),
    ("dat", "dat", [("faery", "by_faery", load_faery),
                    ("expelliarmus", "dat", load_expelliarmus("dat"))]),
    ("aedat4", "aedat4", [("aedat", "by_aedat", load_aedat), ("faery", "by_faery", load_faery),
                          ("dv-processing", "by_dv_processing", load_dv_processing)]),
    ("text", "txt", [("evlib", "by_evlib", load_evlib)]),
    ("hdf5", "h5", [("h5py", "by_h5py", load_h5py)]),
    ("plain", "h5", [("h5py", "by_h5py", load_h5py)]),
    ("dsec", "h5", [("h5py", "by_h5py", load_h5py)]),
    ("ecf", "h5", [("evlib", "by_evlib", load_evlib)]),
]


def rate(events: int, load) -> float:
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        start = time.perf_counter()
        load()
        best = min(best, time.perf_counter() - start)
    return events / best / 1e6


def main() -> None:
    spec = importlib.util.spec_from_file_location("peers", TESTS)
    peers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(peers)
    examples, recording = (pathlib.Path(argument) for argument in sys.argv[1:3])
    size = sys.argv[3:5]
    print("| format | ours, M events/s | others |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, ending, readers in ROWS:
            path = pathlib.Path(folder) / f"{name}.{ending}"
            subprocess.run([examples / "convert", recording, name, path, *size], check=True)
            said = subprocess.run([examples / "decode", path], capture_output=True, check=True)
            words = said.stdout.decode().split()
            ours, want = float(words[2]), peers.ours(examples, path)
            others = []
            for reader, check, load in readers:
                read = getattr(peers, check, None) or peers.by_expelliarmus(check)
                try:
                    got = read(path)
                    equal = got.shape == want.shape and bool(np.array_equal(got, want))
                    number = f"{rate(len(want), lambda: load(path)):.3g}" if equal else "other events"
                except Exception as error:
                    number = f"refuses ({type(error).__name__})"
                others.append(f"{reader} {number}")
            print(f"| {name} | {ours:.3g} | {', '.join(others)} |", flush=True)


if __name__ == "__main__":
    main()
