"""Event by event, what other readers make of the same files, and of the files we write.

    pip install numpy h5py hdf5plugin evlib==0.13.2 expelliarmus==1.1.12 aedat==2.3.0 faery==0.7.1 dv-processing==2.0.4
    cargo build --release -p presence-events --examples
    python engine/presence-events/tests/peers.py TARGET/release/examples RECORDINGS

Ends with 1 where anything differs. Known limits of others are left out: evlib refuses AEDAT 4 with
pixels from 1,024 on and every AEDAT 2, drops `t_offset` of DSEC, refuses HDF5 of Prophesee that is not
packed by ECF, and guesses where chunks of ECF begin, which goes wrong where they are small;
expelliarmus refuses EVT 3 with triggers.
"""

import pathlib
import subprocess
import sys
import tempfile

import aedat
import evlib
import dv_processing
import expelliarmus
import faery
import h5py
import hdf5plugin
import numpy as np


def ours(examples, path):
    out = subprocess.run([examples / "decode", path, "--dump"], capture_output=True, check=True)
    return np.array(out.stdout.split(), dtype=np.int64).reshape(-1, 4)


def columns(t, x, y, p):
    return np.stack([np.asarray(column).astype(np.int64) for column in (t, x, y, p)], 1)


def by_evlib(path):
    events = evlib.load_events(str(path), sort=False).collect()
    t = events["t"].dt.total_microseconds().to_numpy()
    return columns(t, events["x"].to_numpy(), events["y"].to_numpy(), events["polarity"].to_numpy() > 0)


def by_expelliarmus(encoding):
    def read(path):
        events = expelliarmus.Wizard(encoding=encoding).read(str(path))
        return columns(events["t"], events["x"], events["y"], events["p"])

    return read


def by_aedat(path):
    parts = [packet["events"] for packet in aedat.Decoder(str(path)) if "events" in packet]
    events = np.concatenate(parts)
    return columns(events["t"], events["x"], events["y"], events["on"])


def by_faery(path):
    parts = list(faery.events_stream_from_file(path, dimensions_fallback=(1280, 720)))
    events = np.concatenate(parts)
    # It counts the rows of Event Stream from above; the file, and we, from below.
    y = 239 - events["y"] if path.suffix == ".es" else events["y"]
    return columns(events["t"], events["x"], y, events["on"])


def by_dv_processing(path):
    reader = dv_processing.io.MonoCameraRecording(str(path))
    parts = []
    while reader.isRunning():
        events = reader.getNextEventBatch()
        if events is not None:
            batch = events.numpy()
            parts.append(columns(batch["timestamp"], batch["x"], batch["y"], batch["polarity"]))
    return np.concatenate(parts)


def by_h5py(path):
    with h5py.File(path) as file:
        if "CD" in file:
            events = file["CD/events"][:]
            return columns(*(events[name] for name in "txyp"))
        if "davis" in file:
            events = file["davis/left/events"][:]
            return columns(np.round(events[:, 2] * 1e6), events[:, 0], events[:, 1], events[:, 3] > 0)
        group = file["events"] if "events" in file else file["raw_events"]
        t, x, y, p = (group[name][:] for name in "txyp")
        t = np.round(t * 1e6) if t.dtype.kind == "f" else t.astype(np.int64)
        return columns(t + int(file["t_offset"][()]) if "t_offset" in file else t, x, y, p)


READ = [
    ("open-neuromorphic+expelliarmus/evt2_sample.raw", by_evlib),
    ("open-neuromorphic+expelliarmus/evt2_sample.raw", by_expelliarmus("evt2")),
    ("open-neuromorphic+expelliarmus/evt3_sample.raw", by_evlib),
    ("derived/test_data_evt3_trigger_0.evt3.raw", by_evlib),
    ("neuromorphs+tonic/sample_ncars.dat", by_expelliarmus("dat")),
    ("neuromorphs+tonic/sample.aedat4", by_evlib),
    ("neuromorphs+tonic/sample.aedat4", by_aedat),
    ("shiba24+event-vision-library/sample.aedat4", by_evlib),
    ("shiba24+event-vision-library/sample.aedat4", by_aedat),
    ("shiba24+event-vision-library/sample.aedat4", by_dv_processing),
    ("open-neuromorphic+expelliarmus/evt2_sample.raw", by_faery),
    ("neuromorphicsystems+faery/dvs.es", by_faery),
    ("neuromorphs+tonic/sample.aedat4", by_dv_processing),
    ("derived/A_prophesee_layout_gzip.hdf5", by_h5py),
    ("derived/A_dsec_layout_blosczstd.h5", by_h5py),
    ("derived/A_mvsec_layout_gzip.h5", by_h5py),
    ("shiba24+event-vision-library/event.hdf5", by_h5py),
]
WRITTEN = [
    ("evt2", "raw", by_evlib),
    ("evt2", "raw", by_expelliarmus("evt2")),
    ("evt3", "raw", by_evlib),
    ("dat", "dat", by_expelliarmus("dat")),
    ("aedat4", "aedat4", by_aedat),
    ("text", "txt", by_evlib),
    ("evt2", "raw", by_faery),
    ("evt3", "raw", by_faery),
    ("dat", "dat", by_faery),
    ("aedat4", "aedat4", by_faery),
    ("aedat4", "aedat4", by_dv_processing),
    ("hdf5", "h5", by_h5py),
    ("plain", "h5", by_h5py),
    ("dsec", "h5", by_h5py),
    ("ecf", "h5", by_evlib),
]


def called(read):
    return read.__qualname__.split(".")[0][3:]


def main():
    examples, recordings = (pathlib.Path(argument) for argument in sys.argv[1:3])
    failed = 0

    def compare(what, want, got):
        nonlocal failed
        equal = want.shape == got.shape and (want == got).all()
        failed += not equal
        print("equal  " if equal else "DIFFERS", len(want), "events,", what)

    for name, read in READ:
        compare(f"{name} by {called(read)}", ours(examples, recordings / name), read(recordings / name))
    source = recordings / "derived/test_data_evt3_trigger_0.evt3.raw"
    with tempfile.TemporaryDirectory() as folder:
        for name, ending, read in WRITTEN:
            path = pathlib.Path(folder) / f"written.{ending}"
            subprocess.run([examples / "convert", source, name, path], check=True)
            compare(f"written {name} by {called(read)}", ours(examples, source), read(path))
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
