"""The manifest: which fragments are the tables now. Swapped whole, so a reader sees all tables of one moment."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from reports.schema import SCHEMA_VERSION
from reports.store import MissingError, Store

MANIFEST = "tables/manifest.json"


class RunError(ValueError):
    """A directory that is no run, or one that this version cannot read."""


@dataclass(frozen=True)
class Fragment:
    """One immutable file of a table; `level` counts how often its rows were merged, `crc32` is of its bytes."""

    name: str
    rows: int
    level: int
    crc32: int


@dataclass(frozen=True)
class Manifest:
    """The live fragments of each table in the order of their rows.

    `generation` counts the commits of the run, `start` is the driver start that made the last one.
    """

    generation: int = 0
    start: int = 0
    fragments: Mapping[str, tuple[Fragment, ...]] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def encoded(self) -> bytes:
        """The manifest as JSON."""
        content = {
            "schema_version": self.schema_version,
            "generation": self.generation,
            "start": self.start,
            "fragments": {table: [vars(fragment) for fragment in live] for table, live in self.fragments.items()},
        }
        return json.dumps(content).encode()


def fragment_path(table: str, name: str) -> str:
    """Where a fragment lies in the run."""
    return f"tables/{table}/{name}"


def read_manifest(store: Store) -> Manifest | None:
    """The manifest as it is now, None if there is none yet. Raises StoreError, or RunError for what is no manifest."""
    try:
        data = store.read(MANIFEST)
    except MissingError:
        return None
    try:
        content = json.loads(data)
        version = int(content["schema_version"])
        check_version(store.place(), version)
        return Manifest(
            generation=int(content["generation"]),
            start=int(content["start"]),
            fragments={
                table: tuple(
                    Fragment(str(one["name"]), *(int(one[k]) for k in ("rows", "level", "crc32"))) for one in live
                )
                for table, live in content["fragments"].items()
            },
            schema_version=version,
        )
    except RunError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RunError(f"{store.place(MANIFEST)}: not a manifest of voxstudy: {error}") from error


def check_version(place: str, version: int) -> None:
    """Older schemas are read, newer ones cannot be."""
    if version > SCHEMA_VERSION:
        raise RunError(
            f"{place}: written by schema {version}, this voxstudy reads up to {SCHEMA_VERSION}; upgrade voxstudy"
        )
