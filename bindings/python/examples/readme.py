"""A person in every other frame, and in which frames that was."""

from presence import PresenceTracker

FRAME_US = 33_333  # 30 frames a second, about
PERSON = 1

tracker = PresenceTracker()
for frame in range(1, 10):
    seen = [(PERSON, 0.9)] if frame % 2 == 0 else []
    tracker.update_batch(frame * FRAME_US, seen, 0.5)

times = tracker.list_presence_timestamps(PERSON, 0, 10 * FRAME_US)
print("Presence timestamps:", [t // FRAME_US for t in times])
