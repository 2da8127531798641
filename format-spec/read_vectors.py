#!/usr/bin/env python3
"""The second reader of the format: reads every golden vector and compares it with its twin.

Structures are parsed by the reader that the Kaitai compiler generates from presence.ksy. What a
description cannot say (checksums, the search behind torn bytes, the codecs) is written here from
the text of README.md alone. Nothing is shared with the engine but that text and the twins.

    read_vectors.py FOLDER_OF_GENERATED_READER [FOLDER_OF_VECTORS]

`cargo xtask test --only kaitai` installs what this needs (kaitaistruct, lz4) and runs it.
"""

import json
import struct
import sys
import zlib
from functools import partial
from pathlib import Path

import lz4.block
from kaitaistruct import BytesIO, KaitaiStream

PIECE_BYTES = 65536
PAYLOAD_BYTES_MAX = 33554432
SEGMENT_BYTES_MAX = 1073741824
ELEMENT_BYTES = {
    "bool": 1, "i8": 1, "i16": 2, "i32": 4, "i64": 8,
    "u8": 1, "u16": 2, "u32": 4, "u64": 8, "f32": 4, "f64": 8,
}  # fmt: skip


SEEN = set()
MUST_BE_SEEN = {
    *(f"lz4 mode {mode}" for mode in range(4)),
    *(f"packed mode {mode}" for mode in range(4)),
    *(f"split mode {mode}" for mode in range(3)),
    *("bitmap of places", "list of places", "far words of far words"),
    *("rows", "stream", "patched", "excepted", "decimal"),
    *("sparse", "runs", "dense", "block of words", "region without set ticks"),
}  # fmt: skip


class Fault(Exception):
    """The vector contradicts the specification, or its twin."""


def require(condition, what):
    if not condition:
        raise Fault(what)


# --- what the twin shows -------------------------------------------------------------------------


def shown(name, value):
    """A header field as the twin shows it."""
    if name == "reserved":
        return value.hex() if any(value) else "zeros"
    if isinstance(value, bytes):
        return value.hex()
    if name == "database":
        return f"0x{value:016x}"
    if name.endswith("_crc"):
        return f"0x{value:08x}"
    return getattr(value, "name", value)


def fields(parsed, names):
    return {name: shown(name, getattr(parsed, name)) for name in names.split()}


SEGMENT_HEADER = (
    "magic version_major version_minor header_crc database segment generation log_first log_last "
    "part parts previous_segment previous_end previous_crc created_unix_us features_needed "
    "features_optional set reserved"
)
ENTRY_HEADER = (
    "magic header_crc database segment reserved offset number stream records first_sequence "
    "payload_bytes payload_crc previous_crc durable_offset"
)
BLOCK_HEADER = "first_ts last_ts decoded_bytes schema_crc compression set_ticks reserved"
INDEX_ENTRY = "first_ts last_ts first_sequence offset payload_bytes records header_crc rank"
FOOTER = (
    "magic footer_crc database segment index_offset data_end data_crc entries torn_bytes records "
    "log_crc log_end reserved"
)


def shown_schema(schema):
    columns = [
        {
            "name": column.name.text,
            "dtype": column.dtype.name,
            "shape": [side.value for side in column.sides],
        }
        for column in schema.columns
    ]
    shown_schema = {
        "time_unit": schema.time_unit.name,
        "order": schema.order.name,
        "compression": schema.compression.name,
        "columns": columns,
    }
    if schema.order.name == "any":
        plane = schema.plane
        require(plane.kind in (0, 1), "kind of a plane")
        shown_schema["plane"] = {
            "track": plane.track.text,
            "rate": [plane.rate_num.value, plane.rate_den.value],
            "epoch_us": plane.epoch_us,
            "class": {"id": plane.class_id, "name": plane.class_name.text} if plane.kind else None,
        }
    return shown_schema


def shown_catalog(catalog):
    streams = [
        {
            "id": stream.id.value,
            "name": stream.name.text,
            "finished": stream.is_finished,
            "sequence": stream.sequence.value,
            "last_ts": stream.last_ts if stream.has_last_ts else None,
            "schema": shown_schema(stream.schema),
        }
        | ({"touched": [stream.touched_first, stream.touched_last]} if stream.has_touched else {})
        for stream in catalog.streams
    ]
    return {"retained_from": catalog.retained_from.value, "streams": streams}


def shown_index(index):
    streams = [
        {
            "stream": stream.stream.value,
            "blocks": [fields(entry, INDEX_ENTRY) for entry in group.entries],
        }
        for stream, group in zip(index.streams, index.groups, strict=True)
    ]
    return {"catalog": shown_catalog(index.catalog), "streams": streams}


def shown_element(dtype, value):
    if dtype == "bool":
        return bool(value) if value < 2 else value
    if dtype not in ("f32", "f64"):
        return value
    if value != value:
        code, digits = ("<f", 8) if dtype == "f32" else ("<d", 16)
        bits = int.from_bytes(nan_bytes(code, value), "little")
        return f"nan 0x{bits:0{digits}x}"
    if value in (float("inf"), float("-inf")):
        return str(value)
    return shortest_single(value) if dtype == "f32" else value


class Single(float):
    """A NaN of 32 bits that remembers them: a double would quieten it."""

    raw = b""


def nan_bytes(code, value):
    return value.raw if isinstance(value, Single) else struct.pack(code, value)


def shortest_single(value):
    """The double with the fewest digits that rounds to the same 32 bits."""
    for digits in range(1, 10):
        short = float(f"{value:.{digits}g}")
        try:
            if struct.pack("<f", short) == struct.pack("<f", value):
                return short
        except OverflowError:  # rounded up beyond the largest single
            continue
    raise Fault(f"{value} is no single")


def records(schema, lanes):
    """Records as the twin shows them, from lanes of elements, timestamps first."""
    columns = [lanes[0]]
    for column, lane in zip(schema.columns, lanes[1:], strict=True):
        lane = [shown_element(column.dtype.name, value) for value in lane]
        if column.num_sides > 0:
            step = column.elements
            lane = [lane[at : at + step] for at in range(0, len(lane), step)]
        columns.append(lane)
    return [list(record) for record in zip(*columns, strict=True)]


# --- codecs, from section "Codecs" of README.md --------------------------------------------------


class Bytes:
    """Takes fields from the front of some bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        require(self.at + count <= len(self.data), "bytes end inside a field")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, count):
        return int.from_bytes(self.take(count), "little")

    def rest(self):
        return self.take(len(self.data) - self.at)


def lag_of(elements):
    return elements if 1 <= elements <= 64 else 1


def lz4_lane(stored, raw_bytes, width, elements):
    """The little-endian bytes of a lane stored by `lz4`."""
    mode, block = stored[0], stored[1:]
    SEEN.add(f"lz4 mode {mode}")
    if mode == 0:
        require(len(block) == raw_bytes, "raw lane of the wrong length")
        return block
    require(mode in (1, 2, 3), f"lz4 mode {mode}")
    raw = lz4.block.decompress(block, uncompressed_size=raw_bytes)
    require(len(raw) == raw_bytes, "lz4 block of the wrong length")
    if mode == 1:
        return raw
    count = raw_bytes // width
    words = [int.from_bytes(raw[index::count], "little") for index in range(count)]
    if mode == 3:
        lag = lag_of(elements)
        for index in range(lag, count):
            words[index] = (words[index] + words[index - lag]) % (1 << 8 * width)
    return b"".join(word.to_bytes(width, "little") for word in words)


def unpack(packed, count, bits, width):
    """`count` values of `bits` bits each; `width` is the bytes of a word."""
    mask = (1 << bits) - 1
    SEEN.add("rows" if count == 1024 else "stream")
    if count != 1024:
        stream = int.from_bytes(packed, "little")
        return [stream >> index * bits & mask for index in range(count)]
    lanes = 128 // width
    words = [packed[at : at + width] for at in range(0, len(packed), width)]
    streams = [int.from_bytes(b"".join(words[lane::lanes]), "little") for lane in range(lanes)]
    return [streams[i % lanes] >> i // lanes * bits & mask for i in range(1024)]


def mini_block(data, count, width, is_float):
    """The words of one mini-block of `count` values."""
    head = data.number(1)
    mode, patched, excepted, decimal = head & 3, head & 4, head & 8, head >> 4
    names = {"patched": patched, "excepted": excepted, "decimal": decimal}
    SEEN.update(name for name, flag in names.items() if flag)
    SEEN.add(f"packed mode {mode}")
    if mode == 0:
        require(head == 0, "a raw mini-block with flags")
        return [data.number(width) for _ in range(count)]
    require(is_float or not (excepted or decimal), "decimals in a column of integers")
    modulus = 1 << 8 * width
    bits = data.number(1)
    require(bits <= 8 * width, "too many bits")
    base = data.number(width)
    start = data.number(width) if mode >= 2 else 0
    step = data.number(width) if mode == 3 else 0
    words = unpack(data.take((count * bits + 7) // 8), count, bits, width)
    if patched:
        put_list(data, words, width)
    words = [(word + base) % modulus for word in words]
    if mode == 3:
        words = running_sum(words, step, modulus)
    if mode >= 2:
        words = running_sum(words, start, modulus)
    if decimal:
        words = [quotient(word, decimal - 1, width) for word in words]
    if excepted:
        put_list(data, words, width)
    return words


def put_list(data, words, width):
    count = data.number(2)
    positions = [data.number(2) for _ in range(count)]
    for position in positions:
        require(position < len(words), "position beyond the mini-block")
        words[position] = data.number(width)


def running_sum(words, start, modulus):
    sums = []
    for word in words:
        start = (start + word) % modulus
        sums.append(start)
    return sums


def quotient(word, exponent, width):
    signed = word - (1 << 8 * width) if word >> 8 * width - 1 else word
    value = float(signed) / 10.0**exponent
    return int.from_bytes(struct.pack("<f" if width == 4 else "<d", value), "little")


def split_block(data, count, width, deeper=2):
    """The words of one split block of `count`; `deeper` is how deep far words may go."""
    head = data.number(1)
    mode, places = head & 3, head >> 2
    require(mode <= 2 and places <= 2, "unknown head of a split block")
    SEEN.add(f"split mode {mode}")
    if mode == 0:
        require(head == 0, "a raw split block with flags")
        return [data.number(width) for _ in range(count)]
    modulus = 1 << 8 * width
    bits = data.number(1)
    require(bits <= 8 * width, "too many bits")
    base = data.number(width)
    start = data.number(width) if mode == 2 else 0
    words = unpack(data.take((count * bits + 7) // 8), count, bits, width)
    if places:
        require(bits < 8 * width and deeper, "far words where none can be")
        far_count = data.number(2)
        if places == 1:
            bitmap = int.from_bytes(data.take((count + 7) // 8), "little")
            far = [place for place in range(8 * ((count + 7) // 8)) if bitmap >> place & 1]
        else:
            far = [data.number(2) for _ in range(far_count)]
            require(far == sorted(set(far)), "places that do not ascend")
        require(far and len(far) == far_count and far[-1] < count, "places of far words")
        SEEN.add("bitmap of places" if places == 1 else "list of places")
        if deeper == 1:
            SEEN.add("far words of far words")
        for place, word in zip(far, split_block(data, far_count, width, deeper - 1), strict=True):
            words[place] += word << bits
    words = [(word + base) % modulus for word in words]
    return running_sum(words, start, modulus) if mode == 2 else words


def packed_lane(stored, raw_bytes, width, elements, block):
    """The little-endian bytes of a lane of runs, each of which `block` makes of its bytes."""
    data = Bytes(stored)
    lanes = elements if 2 <= elements <= 64 else 1
    count = raw_bytes // width // lanes
    words = [0] * (count * lanes)
    for first in range(0, count, 1024):
        run = min(1024, count - first)
        for lane in range(lanes):
            begin, end = first * lanes + lane, (first + run) * lanes
            words[begin:end:lanes] = block(data, run, width)
    require(not data.rest(), "bytes after the last mini-block")
    return b"".join(word.to_bytes(width, "little") for word in words)


def decoded_block(compression, schema, count, payload):
    """The payload that the same block would have with compression `none`."""
    columns = [("i64", 1)] + [(column.dtype.name, column.elements) for column in schema.columns]
    data = Bytes(payload)
    lengths = [data.number(4) for _ in columns]
    decoded = b""
    for (dtype, elements), length in zip(columns, lengths, strict=True):
        stored, width = data.take(length), ELEMENT_BYTES[dtype]
        raw_bytes = count * elements * width
        if compression == "lz4":
            lane = lz4_lane(stored, raw_bytes, width, elements)
        else:
            block = split_block
            if compression == "packed":
                block = partial(mini_block, is_float=dtype in ("f32", "f64"))
            lane = packed_lane(stored, raw_bytes, width, elements, block)
        decoded += lane + bytes(-len(lane) % 64)
    require(not data.rest(), "bytes behind the last lane")
    return decoded


# --- regions, from section "Presence tracks" of README.md ----------------------------------------

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


# --- a segment -----------------------------------------------------------------------------------


def header_crc(header, field):
    return zlib.crc32(header[:field] + bytes(4) + header[field + 4 :])


def check_payload(payload, crc, table):
    if len(payload) <= PIECE_BYTES:
        require(not table and zlib.crc32(payload) == crc, "payload checksum")
        return
    require(zlib.crc32(struct.pack(f"<{len(table)}I", *table)) == crc, "table checksum")
    pieces = [payload[at : at + PIECE_BYTES] for at in range(0, len(payload), PIECE_BYTES)]
    require([zlib.crc32(piece) for piece in pieces] == table, "payload checksums")


class Segment:
    def __init__(self, presence, data):
        self.presence, self.data = presence, data
        self.parsed = presence.from_bytes(data)
        self.header = self.parsed.header
        require(header_crc(data[:128], 12) == self.header.header_crc, "segment header checksum")
        self.is_sealed = self.parsed.is_sealed and header_crc(data[-64:], 4) == (
            self.parsed.footer.footer_crc
        )
        self.end = len(data) - (64 if self.is_sealed else 0)
        self.schemas, self.schema_crcs = {}, {}
        self.answers, self.next, self.has_rot = {}, {}, False
        self.planes = {}

    def stream_at(self, data):
        return KaitaiStream(BytesIO(data))

    def sound_header(self, offset):
        """The header at `offset`, or None where none is whole and right."""
        data = self.data[offset : self.end]
        try:
            header = self.presence.EntryHeader(self.stream_at(data))
        except EOFError:
            return None
        own, payload_bytes = header.own_bytes, header.payload_bytes
        if header.magic != b"PRSe" or not isinstance(header.kind, self.presence.EntryKind):
            return None
        if header_crc(data[:own], 4) != header.header_crc or payload_bytes > PAYLOAD_BYTES_MAX:
            return None
        database = int.from_bytes(self.header.database[:8], "little")
        place = (header.database, header.segment, header.offset)
        return header if place == (database, self.header.segment, offset) else None

    def sound_entry(self, offset):
        """The entry at `offset`, or None where none is whole and right."""
        header, data = self.sound_header(offset), self.data[offset : self.end]
        if header is None:
            return None
        own, payload_bytes = header.own_bytes, header.payload_bytes
        if offset + own + payload_bytes + header.table_bytes > self.end:
            return None
        entry = self.presence.Entry(self.stream_at(data))
        try:
            check_payload(data[own : own + payload_bytes], header.payload_crc, entry.checksums)
        except Fault:
            return None
        entry.stored = data[own : own + payload_bytes]
        return entry

    def entries(self):
        """Entries in the order of the chain, and (offset, end, why) of what lies between them."""
        offset, number, crc = 128, 0, self.header.header_crc
        while offset < self.end:
            for place in range(offset, self.end, 64):
                entry = self.sound_entry(place)
                follows = entry and (entry.header.number, entry.header.previous_crc) == (number, crc)
                if follows:
                    break
            else:
                place = self.behind_rot(offset, number)
                if place is None:
                    yield offset, self.end, "torn"
                    return
                yield offset, place, "rot"
                self.has_rot = True
                header, offset = self.sound_header(place), place
                number, crc = header.number, header.previous_crc
                continue
            if place > offset:
                yield offset, place, "torn"
            yield entry
            header = entry.header
            offset = place + header.own_bytes + header.payload_bytes + header.table_bytes
            offset, number, crc = offset + -offset % 64, number + 1, header.header_crc

    def behind_rot(self, offset, number):
        """Where the entries go on behind bytes that were durable once; None behind torn ones."""
        headers = [self.sound_header(place) for place in range(128, self.end, 64)]
        headers = [header for header in headers if header]
        if max(header.durable_offset for header in headers) <= offset:
            return None
        later = [header for header in headers if header.offset > offset and header.number > number]
        for header in later:
            behind = [other.number for other in headers if other.offset > header.offset]
            if all(header.number < other for other in behind):
                return header.offset
        return None

    def lanes(self, schema, count, data, align):
        columns = self.presence.Columns(schema, count, align, self.stream_at(data))
        require(not any(columns.padding), "padding of the timestamps")
        lanes = [columns.timestamps]
        for column, lane in zip(schema.columns, columns.lanes, strict=True):
            require(not any(lane.padding), "padding of a lane")
            lanes.append(lane.values)
        self.keep_nans(schema, lanes, count, data, align)
        return lanes, columns._io.pos()

    def keep_nans(self, schema, lanes, count, data, align):
        """Gives NaNs of 32 bits the bits that Python's floats would change."""
        at = count * 8 + -(count * 8) % align
        for column, lane in zip(schema.columns, lanes[1:], strict=True):
            width = ELEMENT_BYTES[column.dtype.name]
            for index, value in enumerate(lane):
                if column.dtype.name == "f32" and value != value:
                    lane[index] = Single(value)
                    lane[index].raw = data[at + 4 * index : at + 4 * index + 4]
            at += len(lane) * width + -(len(lane) * width) % align

    def take(self, stream, first_sequence, shown_records):
        if self.has_rot:
            self.next[stream] = max(self.next.get(stream, 0), first_sequence)
        known = self.next.setdefault(stream, first_sequence) - first_sequence
        require(known >= 0, f"records of stream {stream} are missing")
        new = shown_records[known:]
        self.answers[stream] += new
        self.next[stream] += len(new)

    def shown_block(self, entry):
        header, block = entry.header, entry.block_header
        schema, count = self.schemas[header.stream], header.records
        require(block.schema_crc == self.schema_crcs[header.stream], "schema checksum")
        payload = entry.stored
        if schema.order.name == "any":
            return self.shown_plane_block(entry, schema, count)
        require(block.set_ticks == 0, "set ticks of a block of no plane")
        if block.compression.name != "none":
            payload = decoded_block(block.compression.name, schema, count, payload)
        require(len(payload) == block.decoded_bytes, "decoded length")
        lanes, end = self.lanes(schema, count, payload, 64)
        require(end == len(payload), "bytes behind the last lane")
        require((block.first_ts, block.last_ts) == (lanes[0][0], lanes[0][-1]), "ends in time")
        shown_records = records(schema, lanes)
        self.take(header.stream, header.first_sequence, shown_records)
        return {"block": fields(block, BLOCK_HEADER), "records": shown_records}

    def shown_plane_block(self, entry, schema, count):
        header, block, payload = entry.header, entry.block_header, entry.stored
        shown_block = {"block": fields(block, BLOCK_HEADER)}
        number = None
        if block.set_ticks == WORDS_ONLY:
            SEEN.add("block of words")
            require(block.compression.name == "none", "compression of a block of words")
            lanes, end = self.lanes(schema, count, payload, 64)
            require(end == len(payload), "bytes behind the last lane")
        else:
            require(block.compression.name == "presence", "compression of a region")
            head = self.presence.Region(self.stream_at(payload))
            shown_block["region"], lanes = region(head, payload)
            number = head.number
            require(block.set_ticks == head.set_ticks, "set ticks")
            require(block.first_ts // 4194304 == block.last_ts // 4194304 == number, "region")
        require(len(lanes[0]) == count, "records of a block of a plane")
        require((block.first_ts, block.last_ts) == (lanes[0][0], lanes[0][-1]), "ends in ticks")
        require(block.decoded_bytes == 2 * (8 * count + -(8 * count) % 64), "decoded length")
        require(all(a < b for a, b in zip(lanes[0], lanes[0][1:], strict=False)), "ascending ticks")
        shown_records = records(schema, lanes)
        self.take_words(header.stream, header.first_sequence, shown_records, number)
        return shown_block | {"records": shown_records}

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
        self.answers[stream] = [list(item) for item in sorted(self.planes[stream].items())]

    def shown_frame(self, entry):
        sections, data, total = [], entry.stored, 0
        while data:
            head = self.presence.SectionHead(self.stream_at(data))
            data = data[head._io.pos() :]
            stream, count = head.stream.value, head.records.value
            schema = self.schemas[stream]
            lanes, end = self.lanes(schema, count, data, 1)
            data, total = data[end:], total + count
            shown_records = records(schema, lanes)
            first_sequence = head.first_sequence.value
            if schema.order.name == "any":
                self.take_words(stream, first_sequence, shown_records)
            else:
                self.take(stream, first_sequence, shown_records)
            sections.append(
                {"stream": stream, "first_sequence": first_sequence, "records": shown_records}
            )
        require(total == entry.header.records, "records of a frame")
        return {"sections": sections}

    def learn(self, catalog, stored):
        for stream in catalog.streams:
            key = stream.id.value
            self.schemas[key] = stream.schema
            self.schema_crcs[key] = self.schema_crc(stream.schema, stored)
            self.answers.setdefault(key, [])

    def schema_crc(self, schema, stored):
        """The schema's bytes are put together again: they must be in the catalog as they are."""
        encoded = bytes([schema.time_unit, schema.order, schema.compression])
        encoded += varint(len(schema.columns))
        for column in schema.columns:
            name = column.name.text.encode()
            encoded += varint(len(name)) + name + bytes([column.dtype, column.num_sides])
            encoded += b"".join(varint(side.value) for side in column.sides)
        if schema.order.name == "any":
            plane = schema.plane
            track = plane.track.text.encode()
            encoded += varint(len(track)) + track
            encoded += varint(plane.rate_num.value) + varint(plane.rate_den.value)
            encoded += struct.pack("<qB", plane.epoch_us, plane.kind)
            if plane.kind:
                name = plane.class_name.text.encode()
                encoded += struct.pack("<H", plane.class_id) + varint(len(name)) + name
        require(encoded in stored, "a schema that is not in its shortest form")
        return zlib.crc32(encoded)

    def shown_entry(self, entry):
        kind = entry.header.kind.name
        shown_entry = {"kind": kind, "header": fields(entry.header, ENTRY_HEADER)}
        if kind == "catalog":
            self.learn(entry.payload, entry.stored)
            return shown_entry | {"catalog": shown_catalog(entry.payload)}
        if kind == "index":
            return shown_entry | {"index": shown_index(entry.payload)}
        return shown_entry | (self.shown_block if kind == "block" else self.shown_frame)(entry)

    def twin(self):
        """What the twin must be, but for name and description of the vector."""
        found, entries = [], []
        for item in self.entries():
            if isinstance(item, tuple):
                kind = item[2] if any(self.data[item[0] : item[1]]) else "zeros"
                found.append({"kind": kind, "offset": item[0], "end": item[1]})
            else:
                found.append(self.shown_entry(item))
                entries.append(item)
        self.check_walk(found)
        if self.is_sealed:
            self.check_footer(entries)
        answer = [
            {
                "stream": stream,
                "records": len(found_records),
                "first_ts": found_records[0][0] if found_records else None,
                "last_ts": found_records[-1][0] if found_records else None,
            }
            for stream, found_records in sorted(self.answers.items())
        ]
        return {
            "file_bytes": len(self.data),
            "header": fields(self.header, SEGMENT_HEADER),
            "entries": found,
            "footer": fields(self.parsed.footer, FOOTER) if self.is_sealed else None,
            "answer": answer,
        }

    def check_walk(self, found):
        """The generated reader's own run of entries agrees, up to the first gap."""
        walked = [item.entry.header.offset for item in self.parsed.items if item.is_entry]
        offsets = []
        for item in found:
            if item["kind"] in ("torn", "rot", "zeros"):
                break
            offsets.append(item["header"]["offset"])
        require(walked[: len(offsets)] == offsets, f"entries at {walked}, not {offsets}")

    def check_footer(self, entries):
        footer, index = self.parsed.footer, entries[-1]
        blocks = [entry for entry in entries if entry.header.kind.name == "block"]
        require(len(self.data) <= SEGMENT_BYTES_MAX, "a segment over the cap")
        require(self.parsed.index.header.header_crc == index.header.header_crc, "the last index")
        require(footer.index_offset == index.header.offset, "index_offset")
        require(footer.entries == index.header.number, "entries")
        require(footer.data_crc == index.header.previous_crc, "data_crc")
        require(footer.records == sum(block.header.records for block in blocks), "records")
        indexed = {
            entry.offset: (entry.header_crc, entry.records, entry.payload_bytes, entry.rank)
            for group in index.payload.groups
            for entry in group.entries
        }
        found = {
            block.header.offset: (
                block.header.header_crc,
                block.header.records,
                block.header.payload_bytes,
                block.block_header.set_ticks,
            )
            for block in blocks
        }
        require(indexed == found, "the index and the blocks differ")


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def first_difference(ours, twin, path=""):
    """Where two JSON values first differ, or None. `1`, `1.0` and `true` are different."""
    if isinstance(ours, dict) and isinstance(twin, dict):
        if list(ours) != list(twin):
            return f"{path}: fields {list(ours)}, twin {list(twin)}"
        pairs = [(f"{path}.{key}", ours[key], twin[key]) for key in ours]
    elif isinstance(ours, list) and isinstance(twin, list):
        if len(ours) != len(twin):
            return f"{path}: {len(ours)} items, twin {len(twin)}"
        pairs = [(f"{path}[{at}]", *pair) for at, pair in enumerate(zip(ours, twin, strict=True))]
    else:
        same = json.dumps(ours) == json.dumps(twin)
        return None if same else f"{path}: {ours!r}, twin {twin!r}"
    return next((found for pair in pairs if (found := first_difference(*pair[1:], pair[0]))), None)


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.path.insert(0, sys.argv[1])
    from presence import Presence

    here = Path(__file__).resolve().parent
    folder = Path(sys.argv[2]) if len(sys.argv) == 3 else here / "vectors" / "v1"
    failed = 0
    vectors = sorted(folder.glob("*.presence"))
    for path in vectors:
        twin = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        name = [twin.pop("vector"), twin.pop("about")][0]
        try:
            require(name == path.stem, "the twin is of another vector")
            fault = first_difference(Segment(Presence, path.read_bytes()).twin(), twin)
        except Exception as error:  # one bad vector must not hide the others
            fault = f"{type(error).__name__}: {error}"
        failed += fault is not None
        if fault:
            print(f"{path.name}: {fault}")
    unseen = sorted(MUST_BE_SEEN - SEEN)
    if unseen:
        print(f"no vector shows {', '.join(unseen)}")
    print(f"kaitai: {len(vectors) - failed} of {len(vectors)} vectors agree with their twins")
    sys.exit(1 if failed or unseen or not vectors else 0)


if __name__ == "__main__":
    main()
