"""How much of each hour a class was present, drawn as bars."""

# %%
import random

from presence import PresenceTracker

CAT, HOUR_US, FRAME_US = 7, 3_600_000_000, 1_000_000

# %%
# A day of a camera that looks once a second; the cat comes at dawn and in the evening.
tracker = PresenceTracker(fps=1)
chance = random.Random(1)
for second in range(24 * 3600):
    hour = second // 3600
    likely = {6: 0.4, 7: 0.8, 8: 0.3, 18: 0.2, 19: 0.6, 20: 0.9, 21: 0.5}.get(hour, 0.01)
    seen = [(CAT, 0.9)] if chance.random() < likely else []
    tracker.update_batch(second * FRAME_US, seen, 0.5)

# %%
for hour in range(24):
    start = hour * HOUR_US
    share = tracker.query_presence(CAT, start, start + HOUR_US - 1)
    print(f"{hour:02}:00 {'█' * round(40 * share):40} {share:4.0%}")
