"""What a file of detections tells, computed without the database: prints, for each class, the
ratio, the times and the intervals, as JSON. Arguments: format, file, threshold, frame rate as
NUM/DEN, and a range of microseconds."""

import json
import sys

MOT_NAMES = [
    "Pedestrian", "Person on vehicle", "Car", "Bicycle", "Motorbike", "Non motorized vehicle",
    "Static person", "Distractor", "Occluder", "Occluder on the ground", "Occluder full",
    "Reflection", "Crowd",
]


def rows(kind, path, threshold):
    """Tick, class, and whether it is sure enough, of each line."""
    for line in open(path, encoding="utf-8"):
        if kind == "mot":
            fields = line.strip().split(",")
            name = MOT_NAMES[int(fields[7]) - 1] if len(fields) == 9 else "object"
            yield int(fields[0]) - 1, name, float(fields[6]) >= threshold
        else:
            fields = line.split()
            name = "Person_sitting" if fields[2] == "Person" else fields[2]
            is_sure = len(fields) < 18 or float(fields[17]) >= threshold
            yield int(fields[0]), name, is_sure


def answers(ticks, observed, low, high, start):
    """Ratio, times and intervals of the ticks from `low` to before `high`."""
    present = sorted(tick for tick in ticks if low <= tick < high)
    seen = sum(low <= tick < high for tick in observed)
    intervals = []
    for tick in present:
        if intervals and intervals[-1][1] == tick:
            intervals[-1][1] = tick + 1
        else:
            intervals.append([tick, tick + 1])
    return {
        "ratio": {
            "ratio": len(present) / seen if seen else None,
            "present": len(present),
            "observed": seen,
            "range_ticks": high - low,
        },
        "times": [start(tick) for tick in present],
        "intervals": [
            {"enter": start(a), "leave": start(b), "length": start(b) - start(a)}
            for a, b in intervals
        ],
    }


def main():
    kind, path, threshold, rate, t0, t1 = sys.argv[1:]
    num, den = (int(part) for part in rate.split("/"))

    def start(tick):
        return -(-tick * den * 1_000_000 // num)

    observed, classes = set(), {}
    for tick, name, is_sure in rows(kind, path, float(threshold)):
        observed.add(tick)
        ticks = classes.setdefault(name, set())
        if is_sure:
            ticks.add(tick)
    low, high = min(observed), max(observed) + 1
    # The first ticks that begin at or after the ends of the range.
    first, end = (-(-int(t) * num // (den * 1_000_000)) for t in (t0, t1))
    while start(first - 1) >= int(t0):
        first -= 1
    while start(end - 1) >= int(t1):
        end -= 1
    told = {
        name: {
            "all": answers(ticks, observed, low, high, start),
            "range": answers(ticks, observed, first, end, start),
        }
        for name, ticks in classes.items()
    }
    json.dump({"observed": len(observed), "classes": told}, sys.stdout)


main()
