# /// script
# requires-python = ">=3.10"
# dependencies = ["dynamic-prefetching-cache==0.1.3"]
# ///
"""The patterns of `presence scrub` through the package dynamic-prefetching-cache and through ours.

    cargo build --release -p presence-cli
    uv run benches/prefetching.py target/release/presence

2,000 frames, 500 steps, 100 values kept, 20 keys ahead, 5 ms a load, 10 ms between two steps.
The package gets its strongest predictor, which is told the distances of the jumps.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dynamic_prefetching_cache.cache import DynamicPrefetchingCache
from dynamic_prefetching_cache.predictors import DynamicDataPredictor

FRAMES, STEPS, LOAD_S, THINK_S, SEED = 2_000, 500, 0.005, 0.010, 42
MASK = (1 << 64) - 1


class Provider:
    """Gives a key for itself, and takes its time."""

    def __init__(self):
        self.loads = 0

    def load(self, key):
        self.loads += 1
        time.sleep(LOAD_S)
        return key

    def get_available_frames(self):
        return set(range(FRAMES))

    def get_total_frames(self):
        return FRAMES

    def get_stats(self):
        return {}


def random_steps(seed):
    """The numbers of `presence scrub --pattern random`."""
    for _ in range(STEPS):
        seed = (seed + 0x9E3779B97F4A7C15) & MASK
        x = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
        yield ((x ^ (x >> 31)) * FRAMES) >> 64


def steps(pattern):
    """The steps of a pattern, as `presence scrub` makes them."""
    if pattern == "random":
        return list(random_steps(SEED))
    found, at = [], 0
    for i in range(STEPS):
        at = {
            "sequential": i,
            "backward": FRAMES - 1 - i,
            "stride": i * 17,
            "jumps": i * 15 if i % 5 == 0 else at + 1,
            "mixed": i * 7 if i % 3 == 0 else i,
            "loop": i % 150,
        }[pattern] % FRAMES
        found.append(at)
    return found


def theirs(pattern):
    """Hit rate, loads and loads of keys beyond those asked for, of the package."""
    provider = Provider()
    predictor = DynamicDataPredictor([-15, -5, -1, 1, 5, 15], length=FRAMES)
    cache = DynamicPrefetchingCache(
        provider, predictor, max_keys_cached=100, history_size=30, max_keys_prefetched=20
    )
    asked = steps(pattern)
    for step in asked:
        cache.get(step)
        time.sleep(THINK_S)
    stats = cache.stats()
    cache.close()
    return stats["hits"] / len(asked), provider.loads


def ours(program, folder):
    """The same of ours, by pattern."""
    path = str(folder / "frames.txt")
    make = ["mot", "generate", "-t", "1200", "-f", str(FRAMES), "-o", path]
    subprocess.run([program, *make], check=True, stderr=subprocess.DEVNULL)
    options = ["--steps", str(STEPS), "--slower", "5", "--think", "10", "--seed", str(SEED)]
    ran = subprocess.run(
        [program, "scrub", path, "--json", *options], check=True, capture_output=True
    )
    return {one["pattern"]: one for one in json.loads(ran.stdout)["patterns"]}


def main():
    with tempfile.TemporaryDirectory() as folder:
        measured = ours(sys.argv[1], Path(folder))
    print("| pattern | hits, ours | hits, theirs | loads, ours | loads, theirs | needed |")
    print("|---|---|---|---|---|---|")
    for pattern, one in measured.items():
        rate, loads = theirs(pattern)
        needed = len(set(steps(pattern)))
        print(
            f"| {pattern} | {100 * one['hit_rate']:.1f} % | {100 * rate:.1f} % "
            f"| {one['loads']} | {loads} | {needed} |"
        )


if __name__ == "__main__":
    main()
