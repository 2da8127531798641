"""The small HDF5 files of this folder, each with one form of the format that real files have.

    pip install numpy h5py==3.16 hdf5plugin==7.1
    python make.py FOLDER

All hold the same events (`EVENTS` of them, or as many as the name says), which the tests make anew.
"""

import pathlib
import sys

import h5py
import hdf5plugin
import numpy as np

EVENTS = 300


def columns(count=EVENTS):
    i = np.arange(count, dtype=np.int64)
    return {"t": 1000 + i * 7 + i % 5, "x": i * 13 % 640, "y": i * 7 % 480, "p": i // 3 % 2}


def structs(dtype, count=EVENTS):
    events = np.zeros(count, dtype)
    for name, column in columns(count).items():
        events[name] = column
    return events


def group(file, name, types, rename=str, count=EVENTS, **options):
    made = file.require_group(name) if name else file
    for key, column in columns(count).items():
        column = column * 1e-6 if types[key].startswith(("<f", ">f")) and key == "t" else column
        made.create_dataset(rename(key), data=column.astype(types[key]), **options)
    return made


PLAIN = {"t": "<i8", "x": "<u2", "y": "<u2", "p": "|i1"}
PACKED = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
PADDED = np.dtype({"names": ["x", "y", "p", "t"], "formats": ["<u2", "<u2", "<i2", "<i8"],
                   "offsets": [0, 2, 4, 8], "itemsize": 16})


def blosc(**options):
    return {"chunks": (128,), **hdf5plugin.Blosc(**options)}


def main():
    folder = pathlib.Path(sys.argv[1])

    def file(name, **options):
        return h5py.File(folder / f"{name}.h5", "w", **options)

    # Superblocks, headers, groups, and every index of chunks.
    for libver in ("earliest", "v108", "v110", "latest"):
        with file(f"contiguous_{libver}", libver=libver) as made:
            group(made, "events", PLAIN)
        with file(f"chunked_{libver}", libver=libver) as made:
            group(made, "events", PLAIN, chunks=(7,), compression="gzip")
    with file("single_chunk", libver="latest") as made:
        group(made, "events", PLAIN, chunks=(EVENTS,))
    with file("single_chunk_gzip", libver="latest") as made:
        group(made, "events", PLAIN, chunks=(EVENTS,), compression="gzip")
    with file("growing", libver="latest") as made:
        group(made, "events", PLAIN, chunks=(3,), maxshape=(None,))
    with file("growing_gzip", libver="latest") as made:
        group(made, "events", PLAIN, chunks=(3,), maxshape=(None,), compression="gzip")
    with file("growing_2500_by_1", libver="latest") as made:
        events = structs(PACKED, 2500)
        made.create_dataset("events", data=events, chunks=(1,), maxshape=(None,))
    with file("fixed_2500_by_1", libver="latest") as made:
        made.create_dataset("events", data=structs(PACKED, 2500), chunks=(1,))
    with file("tree_of_chunks") as made:
        made.create_dataset("events", data=structs(PACKED), chunks=(1,))
    with file("implicit", libver="latest") as made:
        space = h5py.h5s.create_simple((EVENTS,))
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((16,))
        plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        kind = h5py.h5t.py_create(PACKED)
        h5py.h5d.create(made.id, b"events", kind, space, plan).write(h5py.h5s.ALL, h5py.h5s.ALL, structs(PACKED))
    with file("plain_edges", libver="latest") as made:
        space = h5py.h5s.create_simple((EVENTS,))
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((64,))
        plan.set_deflate(5)
        if hasattr(plan, "set_chunk_opts"):
            plan.set_chunk_opts(2)
        kind = h5py.h5t.py_create(PACKED)
        h5py.h5d.create(made.id, b"events", kind, space, plan).write(h5py.h5s.ALL, h5py.h5s.ALL, structs(PACKED))
    with file("compact") as made:
        events = made.create_group("events")
        for key, column in columns().items():
            column = column.astype(PLAIN[key])
            plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plan.set_layout(h5py.h5d.COMPACT)
            space = h5py.h5s.create_simple(column.shape)
            kind = h5py.h5t.py_create(column.dtype)
            h5py.h5d.create(events.id, key.encode(), kind, space, plan).write(h5py.h5s.ALL, h5py.h5s.ALL, column)
    with file("block_before", userblock_size=1024) as made:
        group(made, "events", PLAIN, chunks=(64,))
    for libver in ("earliest", "latest"):
        with file(f"crowded_{libver}", libver=libver) as made:
            for number in range(40):
                made.create_group(f"other_{number:02}")
            made.attrs["geometry"] = "640x480"
            for number in range(20):
                made.attrs[f"attribute_{number:02}"] = number
            group(made, "events", PLAIN)

    # Layouts.
    with file("prophesee_padded") as made:
        made.attrs["geometry"] = "1280x720"
        made.attrs["integrator_name"] = np.bytes_("Prophesee")
        made.create_dataset("CD/events", data=structs(PADDED), chunks=(128,), maxshape=(None,))
        triggers = np.array([(1, 1200, 0), (0, 1900, 6)], [("p", "<i2"), ("t", "<i8"), ("id", "<i2")])
        made.create_dataset("EXT_TRIGGER/events", data=triggers, chunks=(2,), maxshape=(None,))
    with file("dsec") as made:
        types = {"t": "<u4", "x": "<u2", "y": "<u2", "p": "|u1"}
        group(made, "events", types, **blosc(cname="zstd", clevel=1, shuffle=1))
        made["events/t"][...] = columns()["t"] - 1000
        made.create_dataset("ms_to_idx", data=np.arange(3, dtype="<u8"))
        made.create_dataset("t_offset", data=np.int64(1000))
    with file("mvsec") as made:
        c = columns()
        rows = np.stack([c["x"], c["y"], c["t"] * 1e-6, c["p"] * 2 - 1], 1).astype("<f8")
        made.create_dataset("davis/left/events", data=rows, chunks=(37, 1), compression="gzip")
    for name, options in {"": {}, "_gzip": {"compression": "gzip"}}.items():
        with file(f"mvsec_tree{name}", libver="latest") as made:
            options = {"chunks": (11, 1), "maxshape": (None, None), **options}
            made.create_dataset("davis/left/events", data=rows, **options)
    with file("mvsec_rows") as made:
        made.create_dataset("davis/right/events", data=rows)
    with file("plural_floats") as made:
        types = {"t": "<f8", "x": "<u2", "y": "<u2", "p": "|i1"}
        group(made, "events", types, rename=lambda key: key + "s")
    with file("root_big_endian") as made:
        group(made, "", {"t": ">i8", "x": ">u2", "y": ">i4", "p": "|b1"})
        made.attrs["width"], made.attrs["height"] = 640, 480
    with file("raw_events_floats") as made:
        group(made, "raw_events", {"t": "<f8", "x": "<f4", "y": "<i4", "p": "|b1"}, compression="gzip")
    with file("committed_type") as made:
        made["kind"] = np.dtype("<i8")
        events = group(made, "events", PLAIN)
        del events["t"]
        events.create_dataset("t", data=columns()["t"], dtype=made["kind"])

    # Filters.
    types = {"t": "<i8", "x": "<u2", "y": "<u2", "p": "|i1"}
    for name, options in {
        "lzf": {"compression": "lzf"},
        "lzf_shuffle": {"compression": "lzf", "shuffle": True},
        "gzip_shuffle_sum": {"compression": "gzip", "shuffle": True, "fletcher32": True},
        "sum": {"fletcher32": True, "chunks": (77,)},
        "blosc_blosclz": blosc(cname="blosclz", clevel=5, shuffle=1),
        "blosc_lz4": blosc(cname="lz4", clevel=5, shuffle=1),
        "blosc_lz4hc_bits": blosc(cname="lz4hc", clevel=9, shuffle=2),
        "blosc_zlib": blosc(cname="zlib", clevel=5, shuffle=0),
        "blosc_zstd_bits": blosc(cname="zstd", clevel=5, shuffle=2),
        "lz4": {"chunks": (128,), **hdf5plugin.LZ4()},
        "zstd": {"chunks": (128,), **hdf5plugin.Zstd()},
    }.items():
        with file(f"filter_{name}") as made:
            group(made, "events", types, **options)
    with file("filter_blosc_blosclz_4000") as made:
        options = {**blosc(cname="blosclz", clevel=9, shuffle=1), "chunks": (4000,)}
        group(made, "events", types, count=4000, **options)

    # What is refused, or told.
    with file("refused_filter") as made:
        group(made, "events", PLAIN, chunks=(64,), **hdf5plugin.Bitshuffle())
    with file("refused_layout") as made:
        made.create_dataset("pictures", data=np.zeros((2, 3)))
    with file("unwritten_chunks") as made:
        events = made.create_dataset("events", (EVENTS,), PACKED, chunks=(50,))
        events[:100] = structs(PACKED)[:100]
        events[200:] = structs(PACKED)[200:]
    with file("unwritten_pages", libver="latest") as made:
        events = made.create_dataset("events", (150_000,), PACKED, chunks=(1,), maxshape=(None,))
        events[140_000:140_100] = structs(PACKED, 150_000)[140_000:140_100]
    with file("uneven_columns") as made:
        events = group(made, "events", PLAIN, chunks=(50,), maxshape=(None,))
        events["p"].resize((EVENTS - 10,))


if __name__ == "__main__":
    main()
