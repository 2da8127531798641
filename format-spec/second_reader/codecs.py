"""The codecs, from section "Codecs" of README.md."""

import struct
from functools import partial

import lz4.block

from .checks import SEEN, require
from .elements import ELEMENT_BYTES


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
