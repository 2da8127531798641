"""Recordings of event cameras."""

import io
import signal
import time

import numpy as np
import presence
import pytest
from presence import events
from presence.events import Events

polars = pytest.importorskip("polars")


def some(count=1000, seed=0):
    random = np.random.default_rng(seed)
    return Events(
        np.sort(random.integers(0, 100_000, count)),
        random.integers(0, 32, count).astype(np.uint16),
        random.integers(0, 24, count).astype(np.uint16),
        random.integers(-1, 2, count).astype(np.int8),
    )


def columns(given):
    return [given.t, given.x, given.y, given.p]


def equal(one, other):
    return all(np.array_equal(*pair) for pair in zip(columns(one), columns(other), strict=True))


@pytest.mark.parametrize("name", ["one.raw", "one.aedat4", "one.dat", "one.txt"])
def test_written_and_read(name, tmp_path):
    given = some()
    given.write(tmp_path / "source.txt", "text")
    assert events.convert(tmp_path / "source.txt", tmp_path / name) == 1000
    assert equal(events.read(tmp_path / name), given)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({name, "source.txt"})
    assert events.detect(tmp_path / name) == events.WRITTEN[f".{name.split('.')[1]}"]


def test_filters_by_hand():
    given = some()
    t, x, y, p = columns(given)
    kept = events.filter(given, start=10_000, end=50_000, rois=[(3, 9, 0, 23)], polarity=1)
    expected = (t >= 10_000) & (t < 50_000) & (x >= 3) & (x <= 9) & (p == 1)
    assert np.array_equal(kept.t, t[expected])
    assert np.array_equal(kept.y, y[expected])
    assert len(events.window(given, 5, 5)) == 0
    assert equal(events.window(given, 0, 100_000), given)
    assert len(events.filter(given, hot_pixels=True)) <= 1000
    assert len(events.filter(given, refractory_us=10**9)) == len(set(zip(x, y, strict=True)))
    assert len(events.filter(given, neighbours_us=1)) < 1000


def test_grids():
    given = some()
    grid = events.represent(given, "event_frame", height=24, width=32, bins=4)
    assert grid.shape == (4, 2, 24, 32)
    assert grid.sum() == 1000
    assert grid[:, 1].sum() == given.p.sum()
    with pytest.raises(presence.PresenceError, match="none of"):
        events.represent(given, "pictures", height=1, width=1)


def test_errors_say_where(tmp_path):
    with pytest.raises(FileNotFoundError):
        events.read(tmp_path / "nowhere")
    path = tmp_path / "odd.bin"
    path.write_bytes(bytes(range(256)) * 64)
    with pytest.raises(OSError, match="odd.bin") as told:
        events.read(path)
    assert told.value.file == str(path)
    integers = tmp_path / "integers.txt"
    integers.write_text("1 2 3 1\n5 2 3 0\n")
    with pytest.raises(ValueError, match="order of the columns"):
        events.read(integers)
    with pytest.raises(ValueError, match="unit of time"):
        events.read(integers, columns="t,x,y,p")
    assert events.read(integers, time_unit="us", columns="t,x,y,p").t.tolist() == [1, 5]
    with pytest.raises(ValueError, match="no unit"):
        events.read(integers, time_unit="days")
    with pytest.raises(ValueError, match="does not say"):
        events.convert(integers, tmp_path / "target")
    with pytest.raises(ValueError, match="different lengths"):
        Events(np.zeros(2, np.int64), *[np.zeros(1, np.uint16)] * 2, np.zeros(1, np.int8))


def test_evlib_takes_paths_frames_and_events(tmp_path):
    from presence import evlib

    given = some()
    path = tmp_path / "some.txt"
    given.write(path, "text")
    frame = evlib.load_events(path).collect()
    assert frame.schema == evlib.SCHEMA
    calls = [
        (evlib.filter_by_time, (0.01, 0.05)),
        (evlib.filter_by_roi, (3, 9, -4, 70_000)),
        (evlib.filter_by_roi, (-9, -4, 0, 5)),
        (evlib.filter_by_polarity, ([1, 5],)),
        (evlib.filter_by_polarity, (0,)),
        (evlib.filter_multiple_rois, ([(0, 4, 0, 4), (9, 2, 0, 4), (8, 12, 8, 12)],)),
        (evlib.filter_hot_pixels, (90,)),
        (evlib.filter_noise, (None, 500)),
        (evlib.filter_noise, ("neighbours", 5_000)),
        (evlib.filter_by_activity, (100, 105)),
        (evlib.preprocess_events, (0.01, 0.09, (2, 30, 2, 20), 1)),
    ]
    for call, arguments in calls:
        expected = call(frame, *arguments).collect()
        assert call(frame.lazy(), *arguments).collect().equals(expected)
        assert call(path, *arguments).collect().equals(expected), call
        assert call(str(path), *arguments).collect().equals(expected)
        assert call(given, *arguments).collect().equals(expected)
        assert expected.schema == evlib.SCHEMA
    assert len(evlib.filter_by_roi(path, -9, -4, 0, 5).collect()) == 0
    kept = evlib.filter_by_activity(frame, 100, 105)
    counts = kept.group_by(polars.col("t").dt.total_microseconds() // 10_000).len().collect()["len"]
    assert counts.len() > 0
    assert counts.is_between(100, 105).all()
    with pytest.raises(TypeError):
        evlib.filter_noise(5)


def test_evlib_mends(tmp_path):
    from presence import evlib

    path = tmp_path / "a.csv"
    path.write_text("t,x,y,p\n0.000001999,1,2,0\nnonsense\n0.3,40000,5,1\n")
    with pytest.raises(ValueError, match="32767"):
        evlib.load_events(path)
    path.write_text("# seconds\n0.1 3 4 0\n0.2 5 6 1\nnonsense\n0.15 7 8 1\n")
    loaded = evlib.load_events(path, sort=False).collect()
    assert loaded["t"].dt.total_microseconds().to_list() == [100_000, 200_000, 150_000]
    assert loaded["polarity"].to_list() == [-1, 1, 1]
    assert evlib.load_events(path).collect()["x"].to_list() == [3, 7, 5]
    surface = evlib.time_surface(loaded, 10, 10, tau=50_000).sort("x")
    assert surface["surface_value"].to_list() == pytest.approx([np.exp(-2), 1, np.exp(-1)])
    for wrong in ({"x_min": 5, "x_max": 2}, {"y_min": 5, "y_max": 2}):
        roi = {"x_min": 0, "x_max": 9, "y_min": 0, "y_max": 9} | wrong
        with pytest.raises(ValueError, match="invalid ROI"):
            evlib.filter_by_roi(loaded, **roi)
    with pytest.raises(ValueError, match="method"):
        evlib.filter_noise(loaded, method="correlation")
    with pytest.raises(ValueError, match="percentile"):
        evlib.filter_hot_pixels(loaded, 101)
    with pytest.raises(TypeError):
        evlib.filter_by_polarity(loaded, None)
    empty = loaded.clear()
    path.write_text("1000000 3 4 0\n2000000 5 6 1\n")
    with pytest.raises(ValueError, match="order of the columns"):
        evlib.load_events(path)
    seconds = evlib.load_events(path, time_unit="us").collect()["t"].dt.total_seconds()
    assert seconds.to_list() == [1, 2]
    for rule in ("filter_hot_pixels", "filter_noise", "preprocess_events"):
        assert len(getattr(evlib, rule)(empty).collect()) == 0
    for rule in ("create_stacked_histogram", "create_event_frame", "create_voxel_grid"):
        assert len(getattr(evlib, rule)(empty, 10, 10)) == 0
    assert evlib.detect_format(path)[0] == "Text"
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 64)
    assert evlib.detect_format(tmp_path / "noise")[0] == "Unknown"


def test_the_readme_of_evlib(tmp_path, monkeypatch, capsys):
    """Its examples: only the lines that import are others."""
    monkeypatch.chdir(tmp_path)
    for name in ("evt2/80_balls.raw", "hdf5/pedestrians.hdf5"):
        path = tmp_path / "data" / "prophesee" / "samples" / name
        path.parent.mkdir(parents=True)
        count = 50_000
        random = np.random.default_rng(1)
        Events(
            np.sort(random.integers(0, 600_000, count)),
            random.integers(0, 640, count).astype(np.uint16),
            random.integers(0, 480, count).astype(np.uint16),
            random.integers(0, 2, count).astype(np.int8),
        ).write(path, "evt2")

    from presence import evlib

    # Automatic format detection: returns a Polars LazyFrame
    events = evlib.load_events("data/prophesee/samples/evt2/80_balls.raw")

    df = events.collect(engine="streaming")
    print(f"Loaded {len(df):,} events")
    print(f"Resolution: {df['x'].max()} x {df['y'].max()}")
    print(f"Duration:   {df['t'].max() - df['t'].min()}")
    assert capsys.readouterr().out.startswith("Loaded 50,000 events\nResolution: 639 x 479\n")

    import polars as pl
    import presence.evlib.representations as evr

    events = evlib.load_events("data/prophesee/samples/hdf5/pedestrians.hdf5")

    # Temporal + spatial + polarity filtering, lazily
    filtered = events.filter(
        (pl.col("t").dt.total_microseconds() / 1_000_000).is_between(0.1, 0.5)
        & pl.col("x").is_between(100, 500)
        & (pl.col("polarity") == 1)
    )

    # Produce a stacked histogram ready for an RVT-style model
    hist = evr.create_stacked_histogram(
        filtered.collect(),
        height=180,
        width=240,
        bins=5,
        window_duration_ms=50.0,
    )
    assert hist.schema.names() == ["time_bin", "polarity", "y", "x", "count"]
    assert hist["time_bin"].unique().to_list() == [0, 1, 2, 3, 4]

    filtered = evlib.filtering.filter_by_time(events, t_start=0.1, t_end=0.2)
    filtered = evlib.filtering.filter_by_polarity(filtered, polarity=1)
    histogram = evlib.create_stacked_histogram(filtered, height=480, width=640)
    assert histogram["count"].sum() == len(filtered.collect())


def test_progress_is_told_and_ends_a_read(tmp_path):
    path = tmp_path / "long.raw"
    t = np.arange(300_000)
    zeros = np.zeros(300_000, "u2")
    Events(t, zeros, zeros, np.zeros(300_000, "i1")).write(path, "evt2")
    told = []
    read = Events.read(path, progress=lambda done, of: told.append((done, of)))
    assert len(read) == 300_000
    assert told[-1] == (path.stat().st_size,) * 2
    with pytest.raises(ZeroDivisionError):
        Events.read(path, progress=lambda done, of: 1 // 0)
    with pytest.raises(OSError, match="ended"):
        Events.read(path, progress=lambda done, of: False)

    def interrupt(done, of):
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        Events.read(path, progress=interrupt)
        time.sleep(5)


def test_a_bar_is_drawn_where_somebody_looks(tmp_path, capsys):
    from presence._progress import Bar

    drawn = io.StringIO()
    bar = Bar(drawn, shown=True)
    for done in range(0, 101, 20):
        bar(done, 100)
    lines = drawn.getvalue().split("\r")[1:]
    assert [line.count("█") for line in lines] == [0, 8, 16, 24, 32, 40]
    assert {len(line.rstrip("\n")) for line in lines} == {46}
    assert drawn.getvalue().endswith("100 %\n")
    presence.create(tmp_path / "db").close()
    assert presence.fsck(tmp_path / "db", progress=True).is_sound
    assert capsys.readouterr().err == "", "nobody looks at a test"
