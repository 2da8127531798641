"""Windows for training from recorded episodes: a state and what was done after it, at 20 a second,
whatever rates they were recorded at."""

# %%
import tempfile

import numpy as np
from presence.dataset import LocalDataset, LocalDatasetWriter

SECOND = 1_000_000_000
root = tempfile.mkdtemp()

with LocalDatasetWriter(root) as writer:
    for number in range(3):
        with writer.new_episode() as episode:
            episode.set_static("task", f"wave {number}")
            for step in range(400):  # joints at 100 a second
                angle = np.sin(step / 40 + number + np.arange(3))
                episode.append("joints", angle, step * SECOND // 100)
            for step in range(120):  # the command at 30 a second
                episode.append("command", float(np.cos(step / 12 + number)), step * SECOND // 30)

# %%
chance = np.random.default_rng(0)
states, actions = [], []
dataset = LocalDataset(root)
for episode in dataset:
    for start in chance.integers(episode.start_ts, episode.last_ts - SECOND, 4):
        window = episode.time[start : start + SECOND : SECOND // 20]
        states.append(window["joints"])
        actions.append(window["command"])
batch = np.stack(states), np.stack(actions)
print(f"{len(dataset)} episodes: states {batch[0].shape}, actions {batch[1].shape}")

# %%
for joint in range(3):
    line = batch[0][0, :, joint]
    heights = ((line + 1) / 2 * 7.99).astype(int)
    print(f"joint {joint} {''.join('▁▂▃▄▅▆▇█'[height] for height in heights)}")
