meta:
  id: presence
  title: presence segment, format version 1
  file-extension: presence
  license: MIT OR Apache-2.0
  ks-version: "0.10"
  endian: le
  encoding: UTF-8

doc: |
  One segment of a presence database. README.md beside this file is normative; this is its second,
  executable description.

  What cannot be said here is left to the reader: checksums are not compared, and the entries
  behind torn bytes or reserved zeros are not looked for. `items` is therefore the run of entries
  from the header on, up to the first 64 bytes where no whole entry begins. The blocks' columns and
  the frames' sections need the schema that an earlier catalog gives: parse them with `columns` and
  `section_head` from the payload's bytes.

seq:
  - id: header
    type: segment_header
  - id: items
    type: item
    repeat: until
    repeat-until: not _.is_entry

instances:
  may_have_footer:
    value: _io.size >= 128 + 64 + 64
  footer:
    pos: _io.size - 64
    type: footer
    if: may_have_footer
  is_sealed:
    value: >-
      may_have_footer and footer.magic == [0x50, 0x52, 0x53, 0x66]
      and footer.segment == header.segment and footer.index_offset <= _io.size - 128
  index:
    pos: footer.index_offset
    type: entry
    if: is_sealed

types:
  segment_header:
    seq:
      - id: magic
        contents: [0x89, 0x50, 0x52, 0x53, 0x0d, 0x0a, 0x1a, 0x0a]
      - id: version_major
        type: u2
      - id: version_minor
        type: u2
      - id: header_crc
        type: u4
      - id: database
        size: 16
      - id: segment
        type: u4
      - id: generation
        type: u4
      - id: log_first
        type: u4
      - id: log_last
        type: u4
      - id: part
        type: u2
      - id: parts
        type: u2
      - id: previous_segment
        type: u4
      - id: previous_end
        type: u4
      - id: previous_crc
        type: u4
      - id: created_unix_us
        type: s8
      - id: features_needed
        type: u4
      - id: features_optional
        type: u4
      - id: set
        type: u4
      - id: reserved
        size: 44

  item:
    doc: An entry, or the place where the run of entries ends.
    seq:
      - id: entry
        type: entry
        if: is_entry
    instances:
      has_header:
        value: _io.size - _io.pos >= 64
      ahead:
        pos: _io.pos
        type: entry_header
        if: has_header
      is_entry:
        value: >-
          has_header and ahead.magic == [0x50, 0x52, 0x53, 0x65]
          and ahead.kind.to_i >= 1 and ahead.kind.to_i <= 4
          and _io.pos + ahead.own_bytes + ahead.payload_bytes + ahead.table_bytes <= _io.size

  entry:
    seq:
      - id: header
        type: entry_header
      - id: block_header
        type: block_header
        if: header.kind == entry_kind::block
      - id: payload
        size: header.payload_bytes
        type:
          switch-on: header.kind
          cases:
            'entry_kind::catalog': catalog
            'entry_kind::index': index_payload
      - id: checksums
        type: u4
        repeat: expr
        repeat-expr: header.table_bytes / 4
        doc: One for each 64 KiB of the payload, where it is longer than that.
      - id: padding
        size: 'padding_bytes <= _io.size - _io.pos ? padding_bytes : _io.size - _io.pos'
    instances:
      stored_bytes:
        value: header.own_bytes + header.payload_bytes + header.table_bytes
      padding_bytes:
        value: (64 - stored_bytes % 64) % 64

  entry_header:
    seq:
      - id: magic
        size: 4
      - id: header_crc
        type: u4
      - id: database
        type: u8
      - id: segment
        type: u4
      - id: kind
        type: u1
        enum: entry_kind
      - id: reserved
        size: 3
      - id: offset
        type: u4
      - id: number
        type: u4
      - id: stream
        type: u4
      - id: records
        type: u4
      - id: first_sequence
        type: u8
      - id: payload_bytes
        type: u4
      - id: payload_crc
        type: u4
      - id: previous_crc
        type: u4
      - id: durable_offset
        type: u4
    instances:
      own_bytes:
        value: 'kind == entry_kind::block ? 128 : 64'
      table_bytes:
        value: 'payload_bytes <= 65536 ? 0 : (payload_bytes + 65535) / 65536 * 4'

  block_header:
    seq:
      - id: first_ts
        type: s8
      - id: last_ts
        type: s8
      - id: decoded_bytes
        type: u4
      - id: schema_crc
        type: u4
      - id: compression
        type: u1
        enum: compression
      - id: set_ticks
        type: u4
      - id: reserved
        size: 35

  footer:
    seq:
      - id: magic
        size: 4
      - id: footer_crc
        type: u4
      - id: database
        type: u8
      - id: segment
        type: u4
      - id: index_offset
        type: u4
      - id: data_end
        type: u4
      - id: data_crc
        type: u4
      - id: entries
        type: u4
      - id: torn_bytes
        type: u4
      - id: records
        type: u8
      - id: log_crc
        type: u4
      - id: log_end
        type: u4
      - id: reserved
        size: 8

  varint:
    doc: Unsigned LEB128, shortest form.
    seq:
      - id: groups
        type: u1
        repeat: until
        repeat-until: _ < 0x80
    instances:
      len:
        value: groups.size
      value:
        value: >-
          (groups[0] & 0x7f)
          + (len > 1 ? (groups[1] & 0x7f) << 7 : 0)
          + (len > 2 ? (groups[2] & 0x7f) << 14 : 0)
          + (len > 3 ? (groups[3] & 0x7f) << 21 : 0)
          + (len > 4 ? (groups[4] & 0x7f) << 28 : 0)
          + (len > 5 ? (groups[5] & 0x7f) << 35 : 0)
          + (len > 6 ? (groups[6] & 0x7f) << 42 : 0)
          + (len > 7 ? (groups[7] & 0x7f) << 49 : 0)
          + (len > 8 ? (groups[8] & 0x7f) << 56 : 0)
          + (len > 9 ? (groups[9] & 0x7f) << 63 : 0)

  name:
    seq:
      - id: len
        type: varint
      - id: text
        type: str
        size: len.value

  catalog:
    seq:
      - id: retained_from
        type: varint
      - id: num_streams
        type: varint
      - id: streams
        type: stream_entry
        repeat: expr
        repeat-expr: num_streams.value

  stream_entry:
    seq:
      - id: id
        type: varint
      - id: name
        type: name
      - id: flags
        type: u1
      - id: sequence
        type: varint
      - id: last_ts
        type: s8
        if: has_last_ts
      - id: touched_first
        type: s8
        if: has_touched
      - id: touched_last
        type: s8
        if: has_touched
      - id: schema
        type: schema
    instances:
      is_finished:
        value: (flags & 1) != 0
      has_last_ts:
        value: (flags & 2) != 0
      has_touched:
        value: (flags & 4) != 0

  schema:
    seq:
      - id: time_unit
        type: u1
        enum: time_unit
      - id: order
        type: u1
        enum: order
      - id: compression
        type: u1
        enum: compression
      - id: num_columns
        type: varint
      - id: columns
        type: column
        repeat: expr
        repeat-expr: num_columns.value
      - id: plane
        type: plane
        if: order == order::any

  plane:
    doc: Which bitmap of which presence track a stream is.
    seq:
      - id: track
        type: name
      - id: rate_num
        type: varint
      - id: rate_den
        type: varint
      - id: epoch_us
        type: s8
      - id: kind
        type: u1
      - id: class_id
        type: u2
        if: kind == 1
      - id: class_name
        type: name
        if: kind == 1

  region:
    doc: The payload of a block of compression `presence`.
    seq:
      - id: number
        type: s8
      - id: containers
        type: u8
      - id: set_ticks
        type: u4
      - id: words
        type: u4

  column:
    seq:
      - id: name
        type: name
      - id: dtype
        type: u1
        enum: dtype
      - id: num_sides
        type: u1
      - id: sides
        type: varint
        repeat: expr
        repeat-expr: num_sides
    instances:
      elements:
        value: >-
          (num_sides > 0 ? sides[0].value : 1)
          * (num_sides > 1 ? sides[1].value : 1)
          * (num_sides > 2 ? sides[2].value : 1)
          * (num_sides > 3 ? sides[3].value : 1)
        doc: Of one value, in row-major order.

  index_payload:
    seq:
      - id: catalog_bytes
        type: varint
      - id: catalog
        size: catalog_bytes.value
        type: catalog
      - id: num_streams
        type: varint
      - id: streams
        type: indexed_stream
        repeat: expr
        repeat-expr: num_streams.value
      - id: groups
        type: index_group(streams[_index].blocks.value)
        repeat: expr
        repeat-expr: num_streams.value

  indexed_stream:
    seq:
      - id: stream
        type: varint
      - id: blocks
        type: varint

  index_group:
    params:
      - id: blocks
        type: u8
    seq:
      - id: entries
        type: index_entry
        repeat: expr
        repeat-expr: blocks

  index_entry:
    seq:
      - id: first_ts
        type: s8
      - id: last_ts
        type: s8
      - id: first_sequence
        type: u8
      - id: offset
        type: u4
      - id: payload_bytes
        type: u4
      - id: records
        type: u4
      - id: header_crc
        type: u4
      - id: rank
        type: u8

  section_head:
    doc: The head of one stream's section of a frame; `columns` without alignment follows it.
    seq:
      - id: stream
        type: varint
      - id: first_sequence
        type: varint
      - id: records
        type: varint

  columns:
    doc: |
      Timestamps and columns of `records` records. In a block of compression `none` (and in every
      decoded block) each array is filled up with zeros to a multiple of 64 bytes; in a section of
      a frame it is not.
    params:
      - id: schema
        type: schema
      - id: records
        type: u4
      - id: align
        type: u4
        doc: 64 for a block, 1 for a section
    seq:
      - id: timestamps
        type: s8
        repeat: expr
        repeat-expr: records
      - id: padding
        size: (align - records * 8 % align) % align
      - id: lanes
        type: lane(schema.columns[_index].dtype.to_i, records * schema.columns[_index].elements, align)
        repeat: expr
        repeat-expr: schema.columns.size

  lane:
    params:
      - id: dtype
        type: u1
      - id: elements
        type: u4
      - id: align
        type: u4
    seq:
      - id: values
        type:
          switch-on: dtype
          cases:
            1: u1
            2: s1
            3: s2
            4: s4
            5: s8
            6: u1
            7: u2
            8: u4
            9: u8
            10: f4
            11: f8
        repeat: expr
        repeat-expr: elements
      - id: padding
        size: (align - elements * element_bytes % align) % align
    instances:
      element_bytes:
        value: >-
          dtype == 1 or dtype == 2 or dtype == 6 ? 1 :
          (dtype == 3 or dtype == 7 ? 2 : (dtype == 4 or dtype == 8 or dtype == 10 ? 4 : 8))

enums:
  entry_kind:
    1: catalog
    2: block
    3: frame
    4: index
  compression:
    1: none
    2: lz4
    3: packed
    4: presence
    5: split
  time_unit:
    1: us
    2: ns
  order:
    1: strictly_increasing
    2: non_decreasing
    3: any
  dtype:
    1: bool
    2: i8
    3: i16
    4: i32
    5: i64
    6: u8
    7: u16
    8: u32
    9: u64
    10: f32
    11: f64
