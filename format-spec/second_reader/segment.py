"""A segment: what its entries hold, and all of it as the twin shows it."""

import struct
import zlib

from .answers import Answers
from .checks import SEEN, require
from .codecs import decoded_block
from .elements import ELEMENT_BYTES, Single, records
from .entries import Entries, header_crc, stream_at
from .shown import (
    BLOCK_HEADER,
    ENTRY_HEADER,
    FOOTER,
    SEGMENT_HEADER,
    fields,
    shown_catalog,
    shown_index,
)
from .tracks import WORDS_ONLY, region

SEGMENT_BYTES_MAX = 1073741824


class Segment:
    def __init__(self, presence, data):
        self.presence, self.data = presence, data
        self.parsed = presence.from_bytes(data)
        self.header = self.parsed.header
        require(header_crc(data[:128], 12) == self.header.header_crc, "segment header checksum")
        self.is_sealed = self.parsed.is_sealed and header_crc(data[-64:], 4) == (
            self.parsed.footer.footer_crc
        )
        end = len(data) - (64 if self.is_sealed else 0)
        self.entries = Entries(presence, self.header, data, end)
        self.schemas, self.schema_crcs = {}, {}
        self.answers = Answers()

    def lanes(self, schema, count, data, align):
        columns = self.presence.Columns(schema, count, align, stream_at(data))
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
        self.answers.take(header.stream, header.first_sequence, shown_records)
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
            head = self.presence.Region(stream_at(payload))
            shown_block["region"], lanes = region(head, payload)
            number = head.number
            require(block.set_ticks == head.set_ticks, "set ticks")
            require(block.first_ts // 4194304 == block.last_ts // 4194304 == number, "region")
        require(len(lanes[0]) == count, "records of a block of a plane")
        require((block.first_ts, block.last_ts) == (lanes[0][0], lanes[0][-1]), "ends in ticks")
        require(block.decoded_bytes == 2 * (8 * count + -(8 * count) % 64), "decoded length")
        require(all(a < b for a, b in zip(lanes[0], lanes[0][1:], strict=False)), "ascending ticks")
        shown_records = records(schema, lanes)
        self.answers.take_words(header.stream, header.first_sequence, shown_records, number)
        return shown_block | {"records": shown_records}

    def shown_frame(self, entry):
        sections, data, total = [], entry.stored, 0
        while data:
            head = self.presence.SectionHead(stream_at(data))
            data = data[head._io.pos() :]
            stream, count = head.stream.value, head.records.value
            schema = self.schemas[stream]
            lanes, end = self.lanes(schema, count, data, 1)
            data, total = data[end:], total + count
            shown_records = records(schema, lanes)
            first_sequence = head.first_sequence.value
            if schema.order.name == "any":
                self.answers.take_words(stream, first_sequence, shown_records)
            else:
                self.answers.take(stream, first_sequence, shown_records)
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
            self.answers.add(key)

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
        for item in self.entries:
            if isinstance(item, tuple):
                kind = item[2] if any(self.data[item[0] : item[1]]) else "zeros"
                found.append({"kind": kind, "offset": item[0], "end": item[1]})
                self.answers.has_rot |= item[2] == "rot"
            else:
                found.append(self.shown_entry(item))
                entries.append(item)
        self.check_walk(found)
        if self.is_sealed:
            self.check_footer(entries)
        return {
            "file_bytes": len(self.data),
            "header": fields(self.header, SEGMENT_HEADER),
            "entries": found,
            "footer": fields(self.parsed.footer, FOOTER) if self.is_sealed else None,
            "answer": self.answers.shown(),
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
