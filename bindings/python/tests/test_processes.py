"""Threads, forked and spawned processes, Ctrl-C, and the tool as a process of its own."""

import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import presence
import pytest

RECORDS = 20_000


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "db"
    with presence.create(path) as db, db.create_stream("ramp", "f8").writer() as writer:
        writer.append_batch(np.arange(RECORDS), np.arange(float(RECORDS)))
    return path


def total(stream):
    return float(stream.window()["value"].sum())


WANTED = sum(range(RECORDS))


def test_threads_read_while_one_writes(tmp_path):
    with presence.create(tmp_path / "db", block_bytes=4096) as db:
        stream = db.create_stream("ramp", "i8")
        failed, ended = [], threading.Event()

        def read():
            try:
                while True:
                    last = ended.is_set()
                    values = stream.window()["value"]
                    assert values.tolist() == list(range(len(values)))
                    samples = stream.at_many(np.arange(0, 1_000, 7))
                    assert (samples["value"][samples.found] == samples.timestamps[samples.found]).all()
                    if last:
                        assert len(values) == RECORDS
                        return
            except BaseException as error:
                failed.append(error)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        with stream.writer() as writer:
            for ts in range(RECORDS):
                writer.append(ts, ts)
        ended.set()
        for reader in readers:
            reader.join()
        assert not failed, failed


def test_many_threads_append_through_one_writer_without_a_loss(tmp_path):
    with presence.create(tmp_path / "db") as db:
        stream = db.create_stream("s", "i8", order="non_decreasing")
        writer = stream.writer()
        threads = [
            threading.Thread(target=lambda n=n: [writer.append(0, n) for _ in range(2_000)])
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        writer.close()
        values, counts = np.unique(stream.window()["value"], return_counts=True)
        assert (values.tolist(), counts.tolist()) == ([0, 1, 2, 3], [2_000] * 4)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_handles_go_to_other_processes(path, method):
    context = multiprocessing.get_context(method)
    with presence.open(path, read_only=True) as db, context.Pool(2) as pool:
        assert pool.map(total, [db["ramp"]] * 4) == [WANTED] * 4


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_reads_what_it_inherits_and_cannot_write(path):
    db = presence.open(path)
    stream = db["ramp"]
    writer = stream.writer()
    child = os.fork()
    if child == 0:
        try:
            assert total(stream) == WANTED
            for write in (lambda: writer.append(RECORDS, 0.0), lambda: db.create_stream("x", "f8")):
                try:
                    write()
                except RuntimeError as error:
                    assert "process" in str(error)
                else:
                    raise AssertionError("a child wrote into its parent's database")
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    writer.append(RECORDS, 1.0)
    writer.close()
    db.close()
    assert presence.fsck(path).is_sound


@pytest.mark.parametrize("method", [None, "fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_data_set_opens_itself_in_each_process(path, method):
    windows = presence.WindowDataset(path, ["ramp"], every=100, offsets=[-10, 0], start=0)
    assert windows.moments[0] == 100 and len(windows) == RECORDS // 100 - 1
    if method is None:
        items = [windows[i] for i in range(len(windows))]
    else:
        assert windows[0] is not None
        with multiprocessing.get_context(method).Pool(2) as pool:
            items = pool.map(windows.__getitem__, range(len(windows)))
    got = np.stack([item["ramp"] for item in items])
    want = windows.moments[:, None] + np.array([-10, 0])
    np.testing.assert_array_equal(got, want)
    assert got.flags.writeable and len(pickle.dumps(windows)) < 10_000
    by_stream = presence.WindowDataset(path, ["ramp"], trigger="ramp", end=50)
    assert by_stream.moments.tolist() == list(range(50))
    at_moments = presence.WindowDataset(path, ["ramp"], moments=[-5, 7, 10**9])
    assert at_moments.moments.tolist() == [7]
    at_random = {"random": 50, "seed": 3, "offsets": [-10, 5], "start": 100, "end": "1ms"}
    anywhere = presence.WindowDataset(path, ["ramp"], **at_random)
    assert len(anywhere) == 50 and len(set(anywhere.moments.tolist())) > 40
    assert 100 <= anywhere.moments.min() and anywhere.moments.max() < 1_000
    assert anywhere.moments.tolist() == presence.WindowDataset(path, ["ramp"], **at_random).moments.tolist()
    assert anywhere[0]["ramp"][0] == anywhere.moments[0] - 10
    for wrong in ({}, {"every": 5, "trigger": "ramp"}):
        with pytest.raises(ValueError):
            presence.WindowDataset(path, ["ramp"], **wrong)


def test_ctrl_c_ends_a_long_call(path):
    db = presence.open(path)
    seen = []

    def progress(done, of):
        seen.append(done)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        db.backup(path.parent / "copy", copy=True, progress=progress)
        # The signal came with the last word of progress: it is due here at the latest.
        time.sleep(5)
    assert seen and not list(path.parent.glob("*.partial*"))
    assert total(db["ramp"]) == WANTED
    db.close()


def run(*arguments, code=0, **options):
    command = [sys.executable, "-m", "presence", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout


def test_the_tool(path):
    assert run("--version").startswith("presence ")
    assert json.loads(run("at", path, "ramp", "17", "--json"))["ts"] == 17
    run("at", path, "nothing", "17", code=2)
    run("nonsense", code=2)
    run("at", path, "ramp", "-1", code=1)


def test_importing_is_cheap():
    """What is not needed is not imported; how long that takes is for the benchmarks."""
    code = "import presence, sys; print([n for n in ('polars', 'pandas', 'torch', 'pyarrow', 'json', 'asyncio') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
