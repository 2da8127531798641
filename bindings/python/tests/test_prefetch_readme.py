"""The examples of dynamic-prefetching-cache's README: only the lines that import are others."""

import logging
from typing import Any

import pytest


@pytest.fixture
def mot(tmp_path, monkeypatch):
    """The example's files."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "examples" / "data"
    data.mkdir(parents=True)
    lines = [f"{frame},{track},1,2,3,4,1,1,1" for frame in range(100) for track in range(3)]
    for name in ("large_data.txt", "example_data.txt"):
        (data / name).write_text("\n".join(lines))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "tracking_results.txt").write_text("\n".join(lines))


def test_quick_start(mot, capsys):
    from presence.prefetch import DynamicDataPredictor, DynamicPrefetchingCache, MOTDataProvider

    provider = MOTDataProvider("examples/data/large_data.txt")
    predictor = DynamicDataPredictor(possible_jumps=[-5, -1, 1, 5, 15])

    # Create cache with automatic resource management
    with DynamicPrefetchingCache(provider, predictor, max_keys_cached=512) as cache:
        for key in range(100):
            data = cache.get(key)
            print(data)

        # Monitor performance
        stats = cache.stats()
        print(f"Hit rate: {stats['hits'] / (stats['hits'] + stats['misses']):.2%}")

    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 101
    assert printed[7].startswith("MOTFrameData(frame_number=7, detections=[MOTDetection(frame=7")
    assert printed[-1].startswith("Hit rate: ")


class MyDataProvider:
    def load(self, key: int) -> Any:
        return f"record {key}"

    def get_available_frames(self) -> set[int]:
        return {1, 2, 3, 4, 5}

    def get_total_frames(self) -> int:
        return 5

    def get_stats(self) -> dict:
        return {"status": "ok"}


class MyAccessPredictor:
    def get_likelihoods(self, current_key: int, history: list[int]) -> dict[int, float]:
        return {
            current_key + 1: 0.8,  # High likelihood
            current_key + 2: 0.3,  # Medium likelihood
            current_key - 1: 0.1,  # Low likelihood
        }


@pytest.mark.parametrize("names", ["of its code", "of its README"])
def test_protocols_configuration_and_events(names, capsys, caplog):
    from presence.prefetch import DynamicPrefetchingCache, EvictionPolicyOldest

    logger = logging.getLogger("example")
    caplog.set_level(logging.DEBUG)

    def my_event_handler(event_name: str, **kwargs):
        if event_name == "prefetch_error":
            logger.warning(f"Prefetch failed for key {kwargs['key']}: {kwargs['error']}")
        elif event_name == "cache_evict":
            logger.debug(f"Evicted key {kwargs['key']} from cache")

    limit = {"max_keys_cached": 2} if names == "of its code" else {"max_keys": 2}
    cache = DynamicPrefetchingCache(
        provider=MyDataProvider(),
        predictor=MyAccessPredictor(),
        max_keys_prefetched=8,
        history_size=30,
        eviction_policy=EvictionPolicyOldest,
        on_event=my_event_handler,
        **limit,
    )
    try:
        assert [cache.get(key) for key in (1, 2, 3, 5, 4)] == [
            f"record {key}" for key in (1, 2, 3, 5, 4)
        ]
    finally:
        cache.close()

    stats = cache.stats()
    print(f"Cache hits: {stats['hits']}")
    print(f"Cache misses: {stats['misses']}")
    print(f"Hit rate: {stats['hits'] / (stats['hits'] + stats['misses']):.2%}")
    print(f"Queued prefetch keys: {stats['active_prefetch_tasks']}")
    assert stats["hits"] + stats["misses"] == 5
    assert "Queued prefetch keys: 0" in capsys.readouterr().out
    assert "from cache" in caplog.text
    assert "failed" not in caplog.text


def test_built_in_components(mot, capsys):
    from presence.prefetch import DynamicDataPredictor, MOTDataProvider

    predictor = DynamicDataPredictor(
        possible_jumps=[-15, -5, -1, 1, 5, 15, 30],
        forward_bias=2.0,
        jump_boost=5.0,
        proximity_boost=2.0,
    )
    assert predictor.get_likelihoods(50, [50])
    provider = MOTDataProvider("data/tracking_results.txt")
    stats = provider.get_stats()
    print(
        f"Indexed frames: {stats['total_frames']}, "
        f"avg direct load: {stats['avg_direct_load_time']:.6f}s"
    )
    assert capsys.readouterr().out == "Indexed frames: 100, avg direct load: 0.000000s\n"


def test_basic_usage(mot, capsys):
    from presence.prefetch import DynamicDataPredictor, DynamicPrefetchingCache, MOTDataProvider

    provider = MOTDataProvider("examples/data/example_data.txt")
    predictor = DynamicDataPredictor(possible_jumps=[-5, -1, 1, 5, 15])

    with DynamicPrefetchingCache(provider, predictor, max_keys_cached=200) as cache:
        for frame_id in range(100):
            detections = cache.get(frame_id)
            print(f"Frame {frame_id}: {len(detections.detections)} objects detected")

    assert "Frame 99: 3 objects detected" in capsys.readouterr().out
