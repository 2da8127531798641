"""Headers, schemas, catalogs and indexes as the twin shows them."""

from .checks import require

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
