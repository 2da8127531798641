"""Going through a MOT file as one does with a slider: how often the frame was there already, and
where the boxes are.

    python examples/scrubbing_mot.py [gt.txt]
"""

# %%
import random
import sys
import tempfile
from pathlib import Path

from presence.prefetch import DynamicDataPredictor, DynamicPrefetchingCache, MOTDataProvider

WIDTH, HEIGHT = 60, 16


def made_up() -> Path:
    """Three people that walk through a picture of 1920 x 1080, for 600 frames."""
    path = Path(tempfile.mkdtemp()) / "gt.txt"
    with path.open("w") as file:
        for frame in range(1, 601):
            for track in range(3):
                left, top = (frame * (track + 2) + 500 * track) % 1800, 200 + 250 * track
                file.write(f"{frame},{track + 1},{left},{top},80,200,1,1,0.9\n")
    return path


# %%
def draw(boxes) -> str:
    """Boxes in a picture of 1920 x 1080."""
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    for box in boxes:
        columns = range(int(box.bb_left), int(box.bb_left + box.bb_width), 1920 // WIDTH)
        rows = range(int(box.bb_top), int(box.bb_top + box.bb_height), 1080 // HEIGHT)
        for x in columns:
            for y in rows:
                if 0 <= x < 1920 and 0 <= y < 1080:
                    grid[y * HEIGHT // 1080][x * WIDTH // 1920] = str(box.track_id % 10)
    return "\n".join("|" + "".join(row) + "|" for row in grid)


# %%
provider = MOTDataProvider(sys.argv[1] if len(sys.argv) > 1 else made_up())
frames = sorted(provider.get_available_frames())
predictor = DynamicDataPredictor([-30, 30], length=frames[-1] + 1)
chance = random.Random(2)
with DynamicPrefetchingCache(provider, predictor, max_keys_cached=200) as cache:
    frame = frames[0]
    for _ in range(300):
        data = cache.get(frame)
        cache.wait_idle()  # the person looks at it
        step = 1 if chance.random() < 0.9 else chance.choice([-30, 30])
        frame = min(max(frame + step, frames[0]), frames[-1])
    stats = cache.stats()

# %%
print(f"frame {data.frame_number}: {len(data.detections)} boxes")
print(draw(data.detections))
print(f"there already: {stats['hits'] / (stats['hits'] + stats['misses']):.0%}")
