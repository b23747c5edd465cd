"""`voxstudy embed`: audio in, a Parquet file of embeddings out, a few utterances at a time."""

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from reports.manifest import RunError
from reports.words import count
from search_spaces.overrides import is_path
from trainables.corpora.audio import FFMPEG_ENDINGS, SILENCE, AudioFaultError, hear_file, remarks_of
from trainables.corpora.cells import TABLES
from trainables.corpora.corpus import CorpusError, Heard, rows_of
from trainables.corpora.packed import is_packed
from trainables.corpora.roles import AnySource, parse_source
from trainables.embedding import embed_waveforms
from trainables.exported import Model, load_model
from trainables.loop import reset_process

ENDINGS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf", ".w64", *FFMPEG_ENDINGS)
SHORTEST_S = 0.4  # as in studies
AT_ONCE = 16  # utterances in memory
ROWS_OF_GROUP = 1024  # of the Parquet file
EVERY_S = 10.0  # between two lines of progress

Say = Callable[[str], object]


@dataclass(frozen=True)
class Sound:
    """Samples, int16 (T,), and what was done to them."""

    samples: NDArray[np.int16]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Utterance:
    """One utterance, heard when it is needed: `hear` gives its sound, or why there is none.

    `path` is as it was given, or as its manifest has it; empty where there is no file.
    """

    key: str  # the same for the same utterance
    path: str
    name: str
    hear: Callable[[], Sound | str]


@dataclass(frozen=True)
class Embedded:
    """How many utterances were embedded, and how many were left out."""

    good: int
    bad: int


def embed_audio(folder: str, audio: Sequence[str], *, out: str, say: Say) -> Embedded:
    """Embed files, folders and manifests into one Parquet file; what is no good is named and left out.

    The file is written aside and renamed at the end. Raises ModelError, CorpusError for what cannot be found, RunError
    if the file cannot be written, or if nothing could be embedded.
    """
    model = load_model(folder)
    for note in model.notes:
        say(f"note: {note}")
    reset_process(seed=0, threads=torch.get_num_threads())
    utterances, faults = find_utterances(audio, sample_rate=model.config.sample_rate)
    for fault in faults:
        say(f"left out: {fault}")
    target = Path(out)
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if target.is_dir():
            raise RunError(f"--out {out}: is a folder; give the name of a Parquet file")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            done = _write(aside, model, utterances, num_bad=len(faults), say=say)
            if not done.good:
                raise RunError(f"{out}: not written, for none of {done.bad} utterances could be embedded")
            os.replace(aside, target)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"--out {out}: cannot be written: {error.strerror or error}") from error
    return done


def find_utterances(audio: Sequence[str], *, sample_rate: int) -> tuple[list[Utterance], list[str]]:
    """All utterances of files, folders and corpora in their order, each file once, and what was left out already.

    Raises CorpusError with every word that is none of these.
    """
    found: dict[str, Utterance] = {}
    faults: list[str] = []
    problems: list[str] = []
    for word in audio:
        try:
            if word.lower().endswith(TABLES) or is_packed(word) or not is_path(word):
                some, left_out = _of_source(parse_source(word), sample_rate)
                faults += left_out
            elif os.path.isdir(word):
                some = _of_folder(Path(word), sample_rate)
            elif os.path.exists(word):
                some = [_of_file(word, Path(word).stem, sample_rate)]
            else:
                raise CorpusError(f"{word}: no such file, folder or corpus")
        except CorpusError as error:
            problems += error.problems
            continue
        for utterance in some:
            found.setdefault(utterance.key, utterance)
    if problems:
        raise CorpusError(*problems)
    return list(found.values()), faults


def schema_of(model: Model) -> pa.Schema:
    """The file's columns, and in its metadata what the numbers are."""
    size = model.config.embedding_size
    return pa.schema(
        [
            pa.field("path", pa.string()),
            pa.field("utterance", pa.string(), nullable=False),
            pa.field("embedding", pa.list_(pa.field("element", pa.float32(), nullable=False), size), nullable=False),
            pa.field("duration_s", pa.float64(), nullable=False),
        ],
        metadata={
            "voxstudy.table": "embeddings",
            "voxstudy.schema": "1",
            "voxstudy.model": model.name,
            "voxstudy.embedding": "mean of the unit vectors of an utterance's crops: the dot product of two embeddings "
            "is their score, the mean cosine over all pairs of crops; it is shorter than 1 where the crops differ",
            "voxstudy.crops": f"{model.config.eval_crops} evenly spaced crops of {model.config.eval_crop_s:g} s",
        },
    )


def _write(file: Path, model: Model, utterances: Sequence[Utterance], *, num_bad: int, say: Say) -> Embedded:
    """Embed and write the utterances; what is in memory does not grow with their number."""
    schema = schema_of(model)
    good, hours, told_at = 0, 0.0, time.monotonic()
    remarks: Counter[str] = Counter()
    kept: dict[str, list[object]] = {name: [] for name in schema.names}

    def flush(writer: pq.ParquetWriter) -> None:
        writer.write_table(pa.table({**kept, "embedding": _vectors(kept["embedding"], schema)}, schema=schema))
        for column in kept.values():
            column.clear()

    with pq.ParquetWriter(file, schema) as writer:
        for first in range(0, len(utterances), AT_ONCE):
            heard, faults, doubts = _heard(utterances[first : first + AT_ONCE], model, remarks)
            for line in [*(f"left out: {fault}" for fault in faults), *(f"note: {doubt}" for doubt in doubts)]:
                say(line)
            num_bad += len(faults)
            for row in heard:
                for name, value in row.items():
                    kept[name].append(value)
                hours += row["duration_s"] / 3600  # type: ignore[operator]
            good += len(heard)
            if len(kept["path"]) >= ROWS_OF_GROUP:
                flush(writer)
            after = min(first + AT_ONCE, len(utterances))
            if time.monotonic() - told_at > EVERY_S or after == len(utterances):
                told_at = time.monotonic()
                say(f"{after} of {len(utterances)} utterances, {hours:.2f} hours")
        if kept["path"]:
            flush(writer)
    for remark, number in sorted(remarks.items()):
        say(f"note: {count(number, 'utterance')}: {remark}")
    return Embedded(good, num_bad)


def _heard(
    some: Sequence[Utterance], model: Model, remarks: Counter[str]
) -> tuple[list[Mapping[str, object]], list[str], list[str]]:
    """The rows of a few utterances, those that could not be embedded, and those that mean nothing, with the reasons.

    `remarks` counts what was done to their samples.
    """
    waveforms, sound, faults, doubts = [], [], [], []
    for utterance in some:
        heard = utterance.hear()
        name = utterance.path or utterance.name
        if isinstance(heard, str):
            faults.append(f"{name}: {heard}")
            continue
        waveforms.append(heard.samples)
        sound.append(utterance)
        remarks.update(remark for remark in heard.remarks if remark != SILENCE)
        if not heard.samples.any():
            doubts.append(f"{name}: {SILENCE}")
    if not sound:
        return [], faults, doubts
    vectors_ND = embed_waveforms(model.module, config=model.config, waveforms=waveforms, device=model.device)
    rows: list[Mapping[str, object]] = []
    for utterance, samples, vector_D in zip(sound, waveforms, vectors_ND, strict=True):
        if not np.isfinite(vector_D).all():
            faults.append(f"{utterance.path or utterance.name}: the net gives no finite numbers for it")
            continue
        rows.append(
            {
                "path": utterance.path or None,
                "utterance": utterance.name,
                "embedding": vector_D,
                "duration_s": len(samples) / model.config.sample_rate,
            }
        )
    return rows, faults, doubts


def _vectors(vectors: Sequence[object], schema: pa.Schema) -> pa.Array:
    flat = np.concatenate([np.asarray(vector, dtype=np.float32) for vector in vectors])
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=schema.field("embedding").type)


def _of_folder(folder: Path, sample_rate: int) -> list[Utterance]:
    """The audio files of a folder and of those in it, by name; raises CorpusError if there is none."""
    paths = sorted(
        os.path.join(where, name)
        for where, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(ENDINGS) and not name.startswith(".")
    )
    if not paths:
        raise CorpusError(f"{folder}: no audio in this folder (endings: {', '.join(ENDINGS)})")
    return [_of_file(path, os.path.splitext(os.path.relpath(path, folder))[0], sample_rate) for path in paths]


def _of_file(path: str, name: str, sample_rate: int) -> Utterance:
    def hear() -> Sound | str:
        try:
            samples, facts = hear_file(path, sample_rate=sample_rate)
        except AudioFaultError as fault:
            return str(fault)
        seconds = facts.num_frames / facts.sample_rate
        return (
            Sound(samples, remarks_of(facts, sample_rate=sample_rate)) if seconds >= SHORTEST_S else _too_short(seconds)
        )

    return Utterance(os.path.abspath(path), path, name, hear)


def _of_source(source: AnySource, sample_rate: int) -> tuple[list[Utterance], list[str]]:
    """The utterances of a manifest, a packed corpus or the synthetic voices, and the rows that say too little."""
    listing = source.listing(number=0, sample_rate=sample_rate)
    utterances = [
        _of_row(source, place, path, name, listing.table, sample_rate)
        for place, (path, name) in enumerate(
            zip(listing.table["path"].to_pylist(), listing.table["utterance"].to_pylist(), strict=True)
        )
    ]
    return utterances, [str(bad) for bad in listing.rejected]


def _of_row(source: AnySource, place: int, path: str | None, name: str, table: pa.Table, sample_rate: int) -> Utterance:
    def hear() -> Sound | str:
        (row,) = rows_of(table.slice(place, 1))
        found = source.examine(row, sample_rate=sample_rate, min_s=SHORTEST_S)
        if not isinstance(found, Heard):
            return found
        if found.num_samples < SHORTEST_S * sample_rate:
            return _too_short(found.num_samples / sample_rate)
        try:
            return Sound(source.waveform(path=path, index=row.index, sample_rate=sample_rate), found.remarks)
        except CorpusError as error:
            return str(error)

    return Utterance(f"{source.text} {name}", path or "", name, hear)


def _too_short(seconds: float) -> str:
    return f"too short: {seconds:.4g} s, at least {SHORTEST_S:g} s are needed"
