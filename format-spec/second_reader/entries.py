"""The entries of a segment: which are sound, and what lies between them."""

import struct
import zlib

from kaitaistruct import BytesIO, KaitaiStream

from .checks import Fault, require

PIECE_BYTES = 65536
PAYLOAD_BYTES_MAX = 33554432


def header_crc(header, field):
    return zlib.crc32(header[:field] + bytes(4) + header[field + 4 :])


def check_payload(payload, crc, table):
    if len(payload) <= PIECE_BYTES:
        require(not table and zlib.crc32(payload) == crc, "payload checksum")
        return
    require(zlib.crc32(struct.pack(f"<{len(table)}I", *table)) == crc, "table checksum")
    pieces = [payload[at : at + PIECE_BYTES] for at in range(0, len(payload), PIECE_BYTES)]
    require([zlib.crc32(piece) for piece in pieces] == table, "payload checksums")


def stream_at(data):
    return KaitaiStream(BytesIO(data))


class Entries:
    """Entries in the order of the chain, and (offset, end, why) of what lies between them."""

    def __init__(self, presence, header, data, end):
        self.presence, self.header, self.data, self.end = presence, header, data, end

    def __iter__(self):
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

    def sound_entry(self, offset):
        """The entry at `offset`, or None where none is whole and right."""
        header, data = self.sound_header(offset), self.data[offset : self.end]
        if header is None:
            return None
        own, payload_bytes = header.own_bytes, header.payload_bytes
        if offset + own + payload_bytes + header.table_bytes > self.end:
            return None
        entry = self.presence.Entry(stream_at(data))
        try:
            check_payload(data[own : own + payload_bytes], header.payload_crc, entry.checksums)
        except Fault:
            return None
        entry.stored = data[own : own + payload_bytes]
        return entry

    def sound_header(self, offset):
        """The header at `offset`, or None where none is whole and right."""
        data = self.data[offset : self.end]
        try:
            header = self.presence.EntryHeader(stream_at(data))
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
