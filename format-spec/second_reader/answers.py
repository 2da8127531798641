"""What a segment answers: the records of each stream, each once, and the last words of planes."""

from .checks import require


class Answers:
    def __init__(self):
        self.records, self.next, self.has_rot = {}, {}, False
        self.planes = {}

    def add(self, stream):
        self.records.setdefault(stream, [])

    def take(self, stream, first_sequence, shown_records):
        if self.has_rot:
            self.next[stream] = max(self.next.get(stream, 0), first_sequence)
        known = self.next.setdefault(stream, first_sequence) - first_sequence
        require(known >= 0, f"records of stream {stream} are missing")
        new = shown_records[known:]
        self.records[stream] += new
        self.next[stream] += len(new)

    def take_words(self, stream, first_sequence, shown_records, region=None):
        """Words count instead of those of the same ticks, or of all of a region."""
        require(first_sequence >= self.next.get(stream, 0), "numbers of a plane ascend")
        self.next[stream] = first_sequence + len(shown_records)
        words = self.planes.setdefault(stream, {})
        if region is not None:
            words = {tick: word for tick, word in words.items() if tick // 4194304 != region}
        require(all(tick % 64 == 0 for tick, _ in shown_records), "words begin at multiples of 64")
        words |= dict(shown_records)
        self.planes[stream] = {tick: word for tick, word in words.items() if word}
        self.records[stream] = [list(item) for item in sorted(self.planes[stream].items())]

    def shown(self):
        return [
            {
                "stream": stream,
                "records": len(found),
                "first_ts": found[0][0] if found else None,
                "last_ts": found[-1][0] if found else None,
            }
            for stream, found in sorted(self.records.items())
        ]
