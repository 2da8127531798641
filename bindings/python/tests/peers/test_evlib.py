"""Beside evlib as it is installed: equal, but for what is listed as mended."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("evlib", reason="the peer is not installed")
pl = pytest.importorskip("polars")

import evlib as peer  # noqa: E402
from presence import evlib as ours  # noqa: E402

DATA = Path(__file__).parents[4] / ".." / "shared" / "data"
ORDER = ["t", "x", "y", "polarity"]


def frame(seed, events=20_000, width=40, height=30, off=-1, us=200_000):
    """Events in the order of time, some at the same time, one pixel far more active."""
    random = np.random.default_rng(seed)
    x = random.integers(0, width, events)
    y = random.integers(0, height, events)
    hot = random.random(events) < 0.02
    x[hot], y[hot] = 7, 3
    return pl.DataFrame(
        {
            "x": x,
            "y": y,
            "t": np.sort(random.integers(0, us, events)),
            "polarity": np.where(random.random(events) < 0.5, off, 1),
        },
        schema=ours.SCHEMA,
    )


def real():
    found = [
        DATA / "open-neuromorphic+expelliarmus" / "evt2_sample.raw",
        *sorted(DATA.glob("*/shapes_rotation_events.txt")),
        *sorted(DATA.glob("*/slider_depth_events_chunk.txt")),
    ]
    found = [path for path in found if path.exists()]
    return found or [pytest.param(None, marks=pytest.mark.skip("no recordings are here"))]


def name(path):
    return path.name if path else "none"


FILTERS = [
    ("filter_by_time", {"t_start": 0.05}),
    ("filter_by_time", {"t_end": 0.100001}),
    ("filter_by_time", {"t_start": 0.0500005, "t_end": 0.1}),
    ("filter_by_time", {"t_start": 0.1, "t_end": 0.05}),
    ("filter_by_roi", {"x_min": 3, "x_max": 20, "y_min": -5, "y_max": 10}),
    ("filter_by_polarity", {"polarity": 1}),
    ("filter_by_polarity", {"polarity": [-1, 0]}),
    ("filter_multiple_rois", {"rois": [(0, 3, 0, 3), (2, 9, 2, 9), (9, 1, 0, 5)]}),
    ("filter_multiple_rois", {"rois": []}),
    ("filter_hot_pixels", {}),
    ("filter_hot_pixels", {"threshold_percentile": 90.0}),
    ("filter_noise", {}),
    ("filter_noise", {"method": "refractory", "refractory_period_us": 0}),
    ("filter_noise", {"refractory_period_us": 12_345.6}),
    ("preprocess_events", {}),
    (
        "preprocess_events",
        {"t_start": 0.01, "t_end": 0.15, "roi": (1, 30, 2, 25), "polarity": 1},
    ),
    ("preprocess_events", {"remove_hot_pixels": False, "refractory_period_us": 300}),
    ("preprocess_events", {"denoise": False, "hot_pixel_threshold": 95.0}),
]


@pytest.mark.parametrize(("rule", "arguments"), FILTERS)
@pytest.mark.parametrize("off", [-1, 0])
def test_filters_keep_the_same(rule, arguments, off):
    for seed in range(3):
        events = frame(seed, off=off)
        expected = getattr(peer.filtering, rule)(events.lazy(), **arguments).collect()
        kept = getattr(ours, rule)(events.lazy(), **arguments)
        assert isinstance(kept, pl.LazyFrame)
        kept = kept.collect()
        assert kept.schema == expected.schema
        # Events of one time and pixel may be in any order where the peer sorts.
        assert kept.select(ORDER).sort(ORDER).equals(expected.select(ORDER).sort(ORDER)), seed
        assert kept["t"].is_sorted()


GRIDS = [
    ("create_stacked_histogram", {"bins": 3, "window_duration_ms": 50.0}),
    ("create_stacked_histogram", {"bins": 50, "window_duration_ms": 1.5}),
    ("create_mixed_density_stack", {}),
    ("event_histogram", {}),
    ("preprocess_for_detection", {}),
]


def same(mine, its):
    by = [column for column in ("time_bin", "polarity", "y", "x") if column in its.columns]
    assert mine.schema == its.schema
    assert mine.sort(by).equals(its.sort(by))


@pytest.mark.parametrize(("rule", "arguments"), GRIDS)
@pytest.mark.parametrize("off", [-1, 0])
def test_representations_are_the_same(rule, arguments, off):
    # Some events are beyond the picture.
    events = frame(5, off=off)
    sizes = {"height": 28, "width": 35}
    same(
        getattr(ours, rule)(events, **sizes, **arguments),
        getattr(peer.representations, rule)(events, **sizes, **arguments),
    )


def test_event_frames_differ_in_the_tail_only():
    events = frame(6, us=200_003)
    mine = ours.create_event_frame(events, 30, 40, n_time_bins=7)
    its = peer.create_event_frame(events, 30, 40, n_time_bins=7)
    assert mine.schema == its.schema
    rows = ["time_bin", "polarity", "y", "x"]
    assert mine.filter(pl.col("time_bin") < 6).equals(its.filter(pl.col("time_bin") < 6).sort(rows))
    assert mine["count"].sum() == len(events) >= its["count"].sum()
    dense = ours.densify_event_frame(mine, 7, 2, 30, 40)
    assert (dense >= peer.densify_event_frame(its, 7, 2, 30, 40)).all()
    assert dense.sum() == len(events)


def test_voxel_grids_differ_in_the_last_bin_only():
    events = frame(7)
    mine = ours.create_voxel_grid(events, 30, 40, n_time_bins=5)
    its = peer.create_voxel_grid(events, 30, 40, n_time_bins=5)
    assert mine.schema == its.schema
    grid = ours.densify_voxel_grid(mine, 5, 30, 40)
    expected = peer.densify_voxel_grid(its, 5, 30, 40)
    np.testing.assert_allclose(grid[:4], expected[:4], atol=2e-4)
    assert grid.sum() == pytest.approx(events["polarity"].sum(), abs=0.05), "nothing is lost"


def test_time_surfaces_differ_in_the_last_slice_only():
    events = frame(8)
    mine = ours.create_time_surface(events, 30, 40, dt=30_000, tau=5_000)
    its = peer.create_time_surface(events, 30, 40, dt=30_000, tau=5_000)
    slices = its["slice"].max() + 1
    assert mine.filter(pl.col("slice") < slices).equals(its)
    assert mine.schema == its.schema
    assert mine["slice"].max() == slices
    start = float(events["t"].dt.total_microseconds()[0])
    sizes = (slices, 2, 30, 40, 30_000, 5_000, start)
    np.testing.assert_array_equal(
        ours.densify_time_surface(mine, *sizes), peer.densify_time_surface(its, *sizes)
    )


@pytest.mark.parametrize("path", real(), ids=name)
def test_real_recordings_are_read_the_same(path):
    mine = ours.load_events(path).collect()
    its = peer.load_events(str(path)).collect()
    assert mine.schema == its.schema
    assert mine.select("x", "y").equals(its.select("x", "y"))
    assert ((mine["polarity"] > 0) == (its["polarity"] > 0)).all()
    assert set(mine["polarity"].unique()) == {-1, 1}
    off = (mine["t"] - its["t"]).dt.total_microseconds()
    # The peer cuts decimals of text off.
    assert (off.min(), off.max()) in ((0, 0), (0, 1))
    bounds = {"t_start": 0.1, "t_end": 0.9, "min_x": 20, "max_y": 150, "polarity": 1}
    mine = ours.load_events(path, **bounds).collect()
    its = peer.load_events(str(path), **bounds).collect()
    assert abs(len(mine) - len(its)) <= 2


@pytest.mark.parametrize("path", real()[:1], ids=name)
def test_a_real_recording_is_preprocessed_the_same(path):
    events = ours.load_events(path).collect().head(300_000)
    arguments = {"roi": (0, 500, 0, 400), "hot_pixel_threshold": 99.5}
    mine = ours.preprocess_events(events, **arguments).collect()
    its = peer.filtering.preprocess_events(events, **arguments).collect()
    assert mine.select(ORDER).sort(ORDER).equals(its.select(ORDER).sort(ORDER))
    assert 0 < len(mine) < len(events)


def test_formats_are_told_the_same():
    if not DATA.exists():
        pytest.skip("no recordings are here")
    told = 0
    for pattern in ("*/evt[23]_sample.raw", "*/sample.aedat4", "*/*.h5", "*/*events*.txt"):
        for path in DATA.glob(pattern):
            assert ours.detect_format(path) == peer.detect_format(str(path)), path
            kind = ours.detect_format(path)[0]
            assert ours.get_format_description(kind)
            told += 1
    assert told >= 5


def test_text_goes_both_ways(tmp_path):
    events = frame(9, events=500)
    seconds = events["t"].dt.total_microseconds().to_numpy() / 1e6
    columns = (
        events["x"].to_numpy().astype(np.int64),
        events["y"].to_numpy().astype(np.int64),
        seconds,
        events["polarity"].to_numpy().astype(np.int64),
    )
    ours.save_events_to_text(*columns, tmp_path / "ours.txt")
    peer.save_events_to_text(*columns, str(tmp_path / "theirs.txt"))
    for path in tmp_path.glob("*.txt"):
        assert ours.load_events(path).collect().equals(events), path
    its = peer.load_events(str(tmp_path / "ours.txt")).collect()
    assert its.select("x", "y").equals(events.select("x", "y"))


def test_hdf5_is_what_the_peer_writes(tmp_path):
    h5py = pytest.importorskip("h5py")
    columns = [np.array(values) for values in ([1, 2], [3, 4], [0.1, 1.5], [-1, 1])]
    ours.save_events_to_hdf5(*columns, tmp_path / "ours.h5")
    peer.save_events_to_hdf5(*columns, str(tmp_path / "theirs.h5"))
    with h5py.File(tmp_path / "ours.h5") as mine, h5py.File(tmp_path / "theirs.h5") as its:
        assert set(mine["events"]) == set(its["events"])
        for column in its["events"]:
            assert (mine["events"][column][:] == its["events"][column][:]).all()
            assert mine["events"][column].dtype == its["events"][column].dtype
