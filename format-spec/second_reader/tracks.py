"""Regions of planes, from section "Presence tracks" of README.md."""

import struct

from .checks import SEEN, require

WORDS_ONLY = 2**32 - 1
FORMS = {1: "sparse", 2: "runs", 3: "dense"}


def container_ticks(form, data, count):
    """The set ticks of a container of `count` of them, whose bytes are `data`."""
    SEEN.add(form)
    if form == "sparse":
        ticks = [low for (low,) in struct.iter_unpack("<H", data)]
    elif form == "runs":
        runs = list(struct.iter_unpack("<HH", data)) + [(None, count)]
        require(runs[0][1] == 0, "ticks before the first run")
        ticks = []
        for (first, before), (_, after) in zip(runs, runs[1:], strict=False):
            require(before < after and (not ticks or ticks[-1] + 1 < first), "runs")
            ticks += range(first, first + after - before)
    else:
        require(len(data) == 128 + 8192, "length of a dense container")
        words = struct.unpack("<1024Q", data[128:])
        ranks = [sum(w.bit_count() for w in words[: 16 * at]) for at in range(64)]
        require(list(struct.unpack("<64H", data[:128])) == ranks, "ranks of a dense container")
        ticks = [64 * at + bit for at, w in enumerate(words) for bit in range(64) if w >> bit & 1]
    require(len(ticks) == count > 0 and ticks[-1] < 65536, "set ticks of a container")
    require(all(a < b for a, b in zip(ticks, ticks[1:], strict=False)), "ticks that ascend")
    return ticks


def region(head, payload):
    """What the twin shows of a region, and its records: ticks and words."""
    numbers = [number for number in range(64) if head.containers >> number & 1]
    at, rank, ticks, shown_containers = 24 + 8 * len(numbers), 0, [], []
    directory = list(struct.iter_unpack("<II", payload[24:at]))
    require(directory or len(payload) == at, "bytes behind a region without containers")
    behind = [*directory, (head.set_ticks, len(payload) << 2)][1:]
    ends, counts = [place >> 2 for _, place in behind], [later for later, _ in behind]
    for number, (before, place), end, later in zip(numbers, directory, ends, counts, strict=True):
        require((before, place >> 2) == (rank, at) and place & 3 in FORMS, "directory of a region")
        form = FORMS[place & 3]
        inside = container_ticks(form, payload[at:end], later - before)
        ticks += [65536 * number + tick for tick in inside]
        shown_containers.append({"container": number, "form": form, "rank": rank})
        at, rank = end, rank + len(inside)
    require(rank == head.set_ticks, "set ticks of a region")
    words = {}
    for tick in ticks:
        tick += 4194304 * head.number
        words[tick // 64 * 64] = words.get(tick // 64 * 64, 0) | 1 << tick % 64
    if not words:
        SEEN.add("region without set ticks")
        words[4194304 * head.number] = 0
    require(len(words) == head.words, "words of a region")
    shown_region = {
        "region": head.number,
        "set_ticks": head.set_ticks,
        "words": head.words,
        "containers": shown_containers,
    }
    return shown_region, [list(words), list(words.values())]
