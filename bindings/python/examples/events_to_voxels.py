"""A window of events of a camera as a voxel grid, drawn bin by bin.

python examples/events_to_voxels.py [recording]
"""

# %%
import sys

import numpy as np
from presence import events

SHADES = " .:-=+*#%@"


def made_up() -> events.Events:
    """A bar that moves to the right over 64 x 32 pixels for 50 ms: its front on, its back off."""
    t = np.repeat(np.arange(0, 50_000, 500), 32)
    x = (t // 1_000 + np.tile([0, 4], len(t) // 2)).astype(np.uint16)
    y = np.tile(np.arange(32, dtype=np.uint16), len(t) // 32)
    return events.Events(t, x, y, np.tile(np.array([-1, 1], np.int8), len(t) // 2))


# %%
def draw(grid: np.ndarray) -> str:
    """The larger the value, whatever its sign, the darker."""
    rows, columns = -(-grid.shape[0] // 16), -(-grid.shape[1] // 64)
    size = grid.shape[0] // rows * rows, grid.shape[1] // columns * columns
    small = np.abs(grid[: size[0], : size[1]])
    small = small.reshape(size[0] // rows, rows, size[1] // columns, columns).sum(axis=(1, 3))
    shades = (small / max(small.max(), 1e-9) * (len(SHADES) - 1)).astype(int)
    return "\n".join("".join(SHADES[shade] for shade in row) for row in shades)


# %%
recording = events.read(sys.argv[1]) if len(sys.argv) > 1 else made_up()
start = int(recording.t[0])
part = events.window(recording, start, start + 40_000)
part = events.filter(part, refractory_us=100)
width, height = (side + 1 for side in part.corner())
grid = events.represent(part, "voxel_grid", height=height, width=width, bins=4)

# %%
for number, layer in enumerate(grid):
    print(f"bin {number}: {layer.sum():+.0f}")
    print(draw(layer))
