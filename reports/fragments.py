"""A fragment's bytes: one zstd Arrow IPC file, written once and checked by its checksum whenever it is read."""

import zlib

import pyarrow as pa

from reports.manifest import Fragment, check_version, fragment_path
from reports.schema import SCHEMA_KEY, SCHEMA_VERSION, TABLE_KEY
from reports.store import Store, StoreError

THREADS_BYTES = 1 << 20  # below, handing columns to threads costs more than it saves


class DamagedError(StoreError):
    """An object that is there, but is not what was written."""


def encode(table: pa.Table) -> bytes:
    """A table as the bytes of one zstd Arrow IPC file."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=table.nbytes > THREADS_BYTES)
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table.combine_chunks())
    data: bytes = sink.getvalue().to_pybytes()
    return data


def decode(store: Store, path: str, crc32: int | None = None) -> pa.Table:
    """The rows of an object. Raises MissingError, DamagedError, or RunError if a newer voxstudy wrote it."""
    data = store.read(path)
    if crc32 is not None and zlib.crc32(data) != crc32:
        raise DamagedError(store.place(path), f"its {len(data)} bytes are not those that were written")
    try:
        options = pa.ipc.IpcReadOptions(use_threads=len(data) > THREADS_BYTES)
        with pa.ipc.open_file(pa.BufferReader(data), options=options) as file:
            table = file.read_all()
        table.validate()
    except (pa.ArrowException, OSError) as error:
        raise DamagedError(store.place(path), f"not a whole Arrow IPC file: {error}") from error
    check_version(store.place(path), int((table.schema.metadata or {}).get(SCHEMA_KEY, SCHEMA_VERSION)))
    return table


def read_fragment(store: Store, table: str, fragment: Fragment) -> pa.Table:
    """The rows of a fragment that a manifest lists."""
    return decode(store, fragment_path(table, fragment.name), fragment.crc32)


def unite(table: str, parts: list[pa.Table]) -> pa.Table:
    """All rows in order under the union of the schemas; a type that grew (int to float) is promoted."""
    united = pa.concat_tables([part.replace_schema_metadata(None) for part in parts], promote_options="permissive")
    return united.replace_schema_metadata({SCHEMA_KEY: str(SCHEMA_VERSION), TABLE_KEY: table})
