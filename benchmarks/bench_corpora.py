"""Random crops: memory-mapped shards against seeks into the files that were packed, and against a tar of them."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import soundfile

from benchmarks.side_by_side import Comparison, compare
from trainables.corpora.corpus import AudioCache, Int16s, build_corpus, crop
from trainables.corpora.found import Found
from trainables.corpora.packed import open_packed
from trainables.corpora.packing import pack
from trainables.corpora.shards import UTTERANCES, UTTERANCES_SCHEMA, file_facts, map_table, write_table
from trainables.corpora.synthetic import SyntheticSource, read_options

RATE = 16_000
CROP = 2 * RATE
SECONDS = 8  # the mean utterance of VoxCeleb
# The peak of this process alone: getrusage's is inherited from the parent.
OPEN = """
import sys, time
from trainables.corpora.packed import open_packed
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
kilobytes, start = peak(), time.perf_counter()
open_packed(sys.argv[1]).listing(number=0, sample_rate=16000)
seconds = time.perf_counter() - start
print(seconds, (peak() - kilobytes) / 1024)
"""


@dataclass(frozen=True)
class Crops:
    """Which utterances (C,) are cropped, and where: fractions (C,) of the room there is."""

    rows: tuple[int, ...]
    starts: tuple[float, ...]

    def part(self, number: int, of: int) -> Crops:
        """Return every so-manieth crop."""
        return Crops(self.rows[number::of], self.starts[number::of])


def drawn(count: int, utterances: int) -> Crops:
    """Draw crops."""
    rng = np.random.default_rng(0)
    return Crops(tuple(rng.integers(utterances, size=count).tolist()), tuple(rng.random(count).tolist()))


def open_cache(folder: str) -> AudioCache:
    """Open a packed corpus as a trial does."""
    source = open_packed(folder)
    listing = source.listing(number=0, sample_rate=RATE)
    return AudioCache(build_corpus(listing.table, sources=(source,), sample_rate=RATE, fingerprints={0: "x"}))


def from_packed(cache: AudioCache, crops: Crops) -> Int16s:
    """Read crops as a batch of a trial is read."""
    return np.stack(
        [crop(cache.waveform(row), start, CROP) for row, start in zip(crops.rows, crops.starts, strict=True)]
    )


def from_files(paths: list[str], crops: Crops) -> Int16s:
    """Open each file, seek, read."""
    batch = []
    for row, start in zip(crops.rows, crops.starts, strict=True):
        with soundfile.SoundFile(paths[row]) as audio:
            audio.seek(int(start * (audio.frames - CROP)))
            batch.append(audio.read(CROP, dtype="int16"))
    return np.stack(batch)


def packed_in_process(folder: str, crops: Crops) -> int:
    """Read crops in a worker, which keeps its corpus open."""
    global _cache
    if _cache is None:
        _cache = open_cache(folder)
    return len(from_packed(_cache, crops))


def files_in_process(paths: list[str], crops: Crops) -> int:
    """Read crops in a worker."""
    return len(from_files(paths, crops))


_cache: AudioCache | None = None


def from_tar(url: str, count: int) -> int:
    """Read through a tar in its order, decode each file and take one crop of it, as often as asked."""
    import io

    import webdataset

    rng = np.random.default_rng(0)
    batch: list[Int16s] = []
    while len(batch) < count:
        for sample in webdataset.WebDataset(url, shardshuffle=False, empty_check=False):
            samples_T, _ = soundfile.read(io.BytesIO(sample["flac"]), dtype="int16")
            batch.append(crop(samples_T, float(rng.random()), CROP))
            if len(batch) == count:
                break
    return len(np.stack(batch))


def speak(folder: Path, utterances: int) -> dict[str, list[str]]:
    """Write synthetic voices as FLAC and as WAV; return the paths of each."""
    text = f"synthetic?speakers={utterances // 4}&utterances=4&dev_speakers=0&test_speakers=0&seconds={SECONDS}"
    source = SyntheticSource(text=text, options=read_options(text))
    paths: dict[str, list[str]] = {"flac": [], "wav": []}
    for n, index in enumerate(source.listing(number=0, sample_rate=RATE).table["index"].to_pylist()):
        samples_T = source.waveform(path=None, index=index, sample_rate=RATE)
        for ending, written in paths.items():
            written.append(str(folder / f"{n:05d}.{ending}"))
            soundfile.write(written[-1], samples_T, RATE)
    return paths


def a_million(packed: Path, out: Path, count: int) -> str:
    """Write a table of so many utterances, open it in a process of its own and say what that took."""
    names = pa.array(np.arange(count)).cast(pa.string())
    speakers = pc.binary_join_element_wise("id", pa.array(np.arange(count) // 180).cast(pa.string()), "")
    one = map_table(packed / UTTERANCES).slice(0, 1).combine_chunks()
    columns = {name: one[name].combine_chunks().take(pa.array(np.zeros(count, np.int32))) for name in one.column_names}
    columns |= {"utterance": pc.utf8_lpad(names, 8, "0"), "speaker": speakers, "recording": names, "path": names}
    write_table(out / UTTERANCES, pa.table(columns, schema=UTTERANCES_SCHEMA))
    facts = json.loads((packed / "corpus.json").read_bytes())
    files = {UTTERANCES: vars(file_facts(out / UTTERANCES))}
    (out / "corpus.json").write_text(json.dumps({**facts, "num_utterances": count, "files": files}))
    done = subprocess.run([sys.executable, "-c", OPEN, str(out)], capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, done.stdout.split())
    return (
        f"opening a packed corpus of {count} utterances (wanted: under 1 s and 200 MB): "
        f"{seconds:.2f} s, {megabytes:.0f} MB"
    )


def comparisons(quick: bool) -> Iterator[Comparison | str]:
    """Crops of 2 s from one process and from two; a tar in its order; opening a large table."""
    utterances, count = (16, 60) if quick else (160, 1_000)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        paths = speak(root, utterances)
        found = [Found(utterance=f"{n:05d}", path=path, speaker=str(n)) for n, path in enumerate(paths["flac"])]
        pack(found, root / "packed", kind="made", folder=root, sample_rate=RATE)
        cache, crops, folder = open_cache(str(root / "packed")), drawn(count, utterances), str(root / "packed")
        pool = stack.enter_context(ProcessPoolExecutor(2, mp_context=get_context("spawn")))

        def both(run: Callable[..., int], what: object) -> int:
            return sum(pool.map(partial(run, what), [crops.part(0, 2), crops.part(1, 2)]))

        for ending, wanted in (("flac", 20), ("wav", 3)):
            assert np.array_equal(from_packed(cache, crops), from_files(paths[ending], crops))
            yield compare(
                f"{count} random crops of 2 s, one process",
                ours=("packed", partial(from_packed, cache, crops)),
                theirs=(f"soundfile seeks, {ending.upper()}", partial(from_files, paths[ending], crops)),
                wanted=wanted,
            )
            yield compare(
                f"{count} random crops of 2 s, two processes",
                ours=("packed", partial(both, packed_in_process, folder)),
                theirs=(f"soundfile seeks, {ending.upper()}", partial(both, files_in_process, paths[ending])),
                wanted=wanted,
            )
        if importlib.util.find_spec("webdataset") is None:
            yield "WebDataset: not installed, not compared (pip install webdataset)"
        else:
            with tarfile.open(root / "shard.tar", "w") as tar:
                for path in paths["flac"]:
                    tar.add(path, Path(path).name)
            yield compare(
                f"{count} crops of 2 s, one process",
                ours=("packed, random", partial(from_packed, cache, crops)),
                theirs=("WebDataset, a tar of FLAC in its order", partial(from_tar, str(root / "shard.tar"), count)),
            )
        yield a_million(root / "packed", root / "million", 20_000 if quick else 1_000_000)
