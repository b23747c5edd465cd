"""Small corpora on disk."""

import csv
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

Record = dict[str, object]
WriteManifest = Callable[..., Path]


def tone(*, seconds: float = 0.5, hertz: float = 440.0, rate: int = 16000, seed: int = 0) -> np.ndarray:
    """A sine with a little noise, so that no two seeds have the same content."""
    time_T = np.arange(round(seconds * rate)) / rate
    noise_T = np.random.default_rng(seed).standard_normal(len(time_T))
    return (0.3 * np.sin(2 * np.pi * hertz * time_T) + 0.001 * noise_T).astype(np.float32)


@pytest.fixture(scope="session")
def trees() -> ModuleType:
    """The module that writes small trees in the layout of each kind."""
    spec = importlib.util.spec_from_file_location("trees", Path(__file__).with_name("trees.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["trees"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def write_manifest(tmp_path: Path) -> WriteManifest:
    """Write records to a CSV manifest; files that are not there yet are written as tones."""

    def write(
        records: Sequence[Record], *, folder: str = "corpus", name: str = "manifest.csv", audio: bool = True
    ) -> Path:
        root = tmp_path / folder
        root.mkdir(exist_ok=True)
        for seed, record in enumerate(records):
            path = root / str(record["path"])
            if audio and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, tone(seed=seed), 16000)
        columns = list(dict.fromkeys(column for record in records for column in record))
        with (root / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(records)
        return root / name

    return write


@pytest.fixture
def records() -> Callable[..., list[Record]]:
    """Rows of a manifest: so many speakers with so many utterances."""

    def make(speakers: int, utterances: int, *, prefix: str = "speaker", **cells: object) -> list[Record]:
        return [
            {"path": f"{prefix}{s:03d}/{u}.wav", "speaker": f"{prefix}{s:03d}", **cells}
            for s in range(speakers)
            for u in range(utterances)
        ]

    return make
