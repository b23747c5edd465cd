"""Packing decodes once and exactly, says what it leaves out, goes on after a kill, and refuses what would mix."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from trainables.corpora.ages import UNDER_20
from trainables.corpora.audio import AudioFaultError, decode_file
from trainables.corpora.corpus import CorpusError
from trainables.corpora.forecast import cut, file_states, forecast
from trainables.corpora.found import Age, Faulty, Finding, Found, Note
from trainables.corpora.packing import pack
from trainables.corpora.pieces import Recipe, hear_found
from trainables.corpora.repacking import HearSource, found_in
from trainables.corpora.shards import (
    LOCK,
    REJECTED_SCHEMA,
    TRIALS_SCHEMA,
    UTTERANCES_SCHEMA,
    PackedFacts,
    hold,
    map_samples,
    map_table,
    shard_name,
)
from trainables.corpora.synthetic import SyntheticSource, read_options


def noise(seconds: float, seed: int, *, rate: int = 16000, channels: int = 1) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * rate), channels)).astype(np.float32)


def written(folder: Path, count: int, *, seconds: float = 0.5, ending: str = ".wav") -> list[Found]:
    """Write so many files, two a speaker, each a little longer than the one before."""
    found = []
    for n in range(count):
        path = folder / f"s{n // 2}" / f"{n:03d}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise(seconds + n / 1000, n), 16000)
        found.append(Found(utterance=f"s{n // 2}/{n:03d}", path=str(path), speaker=f"s{n // 2}", source="made"))
    return found


def packed(found: Sequence[Finding], out: Path, folder: Path, **others: Any) -> PackedFacts:
    return pack(found, out, kind="made", folder=folder, **others)


def samples_of(out: Path, row: dict[str, Any]) -> np.ndarray:
    return map_samples(out / shard_name(row["shard"]))[row["offset"] : row["offset"] + row["num_samples"]]


def tables_of(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.arrow"))}


def rejected_of(out: Path) -> dict[str, str]:
    return {row["path"]: row["reason"] for row in map_table(out / "rejected.arrow").to_pylist()}


class TestTheForm:
    def test_samples_are_those_of_the_files(self, tmp_path: Path) -> None:
        """WAV, FLAC, another rate and two channels, each to the last sample as decode_file gives them."""
        found = written(tmp_path / "in", 4) + written(tmp_path / "in", 4, ending=".flac")[2:]
        found = [*found[:4], *(Found(f"flac/{n}", one.path, "s9") for n, one in enumerate(found[4:]))]
        for name, rate, channels in (("low", 8000, 1), ("both", 44100, 2)):
            path = tmp_path / "in" / f"{name}.wav"
            soundfile.write(path, noise(0.7, 7, rate=rate, channels=channels), rate)
            found.append(Found(f"odd/{name}", str(path), "s9"))
        facts = packed(found[::-1], tmp_path / "out", tmp_path / "in")

        table = map_table(tmp_path / "out" / "utterances.arrow")
        rows = table.to_pylist()
        assert table.schema == UTTERANCES_SCHEMA
        assert [row["utterance"] for row in rows] == sorted(one.utterance for one in found)
        path_of = {one.utterance: one.path for one in found}
        for row in rows:
            expected = decode_file(path_of[row["utterance"]], sample_rate=16000)
            np.testing.assert_array_equal(expected, samples_of(tmp_path / "out", row))
        assert [one for one in facts.notes if "file" in one] == [
            "1 file: 2 channels, averaged",
            "1 file: 44100 Hz, resampled to 16000 Hz",
            "1 file: 8000 Hz, resampled to 16000 Hz",
        ]

    def test_labels_and_places(self, tmp_path: Path) -> None:
        """Every label that was found is in its column; paths start at the imported folder."""
        [one] = written(tmp_path / "in", 1)
        full = Found(
            utterance="u",
            path=one.path,
            speaker="가",
            recording="r",
            gender="F",
            age=Age(34.5, "20-30", "30s"),
            source="part",
            split="dev",
        )
        packed([full], tmp_path / "out", tmp_path / "in")
        [row] = map_table(tmp_path / "out" / "utterances.arrow").to_pylist()

        assert len(row.pop("content")) == 32
        assert row == {
            "utterance": "u",
            "speaker": "가",
            "recording": "r",
            "gender": "F",
            "age": 34.5,
            "agesup": "20-30",
            "agesub": "30s",
            "source": "part",
            "split": "dev",
            "num_samples": 8000,
            "shard": 0,
            "offset": 0,
            "path": "s0/000.wav",
        }

    def test_a_shard_is_one_uncompressed_batch(self, tmp_path: Path) -> None:
        packed(written(tmp_path / "in", 3), tmp_path / "out", tmp_path / "in")
        with pa.ipc.open_file(str(tmp_path / "out" / shard_name(0))) as reader:
            batch = reader.get_batch(0)

            assert (reader.num_record_batches, batch.schema.names, batch.column(0).type) == (1, ["samples"], pa.int16())
        raw = np.concatenate([decode_file(one.path, sample_rate=16000) for one in written(tmp_path / "again", 3)])
        assert raw.tobytes() in (tmp_path / "out" / shard_name(0)).read_bytes()

    def test_any_number_of_workers_gives_the_same_bytes(self, tmp_path: Path) -> None:
        found = written(tmp_path / "in", 12, seconds=8.0)
        one = packed(found, tmp_path / "one", tmp_path / "in", workers=1)
        two = packed(found[::-1], tmp_path / "two", tmp_path / "in", workers=2)

        assert len([name for name in one.files if "shard" in name]) > 1
        assert one == two
        assert tables_of(tmp_path / "one") == tables_of(tmp_path / "two")

    def test_the_fingerprint_is_of_contents_and_labels(self, tmp_path: Path) -> None:
        """The same samples in FLAC files of another folder are the same corpus; another label makes another."""
        found = written(tmp_path / "in", 3)
        first = packed(found, tmp_path / "1", tmp_path / "in").fingerprint
        moved = []
        for one in found:
            path = tmp_path / "moved" / f"{one.utterance}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, soundfile.read(one.path, dtype="int16")[0], 16000)
            moved.append(Found(one.utterance, str(path), one.speaker, source=one.source))
        assert first == packed(moved, tmp_path / "2", tmp_path / "moved").fingerprint
        moved[0] = Found(moved[0].utterance, moved[0].path, "another", source="made")
        assert first != packed(moved, tmp_path / "3", tmp_path / "moved").fingerprint

    def test_synthetic_voices(self, tmp_path: Path) -> None:
        """What is packed is what the source says, with its ages in classes, partitions as asked for."""
        text = "synthetic?speakers=3&utterances=2&dev_speakers=0&test_speakers=0&seconds=0.6"
        source = SyntheticSource(text=text, options=read_options(text))
        for is_split, splits in ((True, {"train"}), (False, {None})):
            out = tmp_path / f"{is_split}"
            found = list(found_in(source, sample_rate=8000, is_split=is_split))
            packed(found, out, tmp_path, sample_rate=8000, hear=HearSource(source))
            rows = map_table(out / "utterances.arrow").to_pylist()
            listed = {row["utterance"]: row for row in source.listing(number=0, sample_rate=8000).table.to_pylist()}

            assert set(listed) == {row["utterance"] for row in rows}
            assert splits == {row["split"] for row in rows}
            for row in rows:
                index = listed[row["utterance"]]["index"]
                expected = source.waveform(path=None, index=index, sample_rate=8000)
                np.testing.assert_array_equal(expected, samples_of(out, row))
                assert row["agesub"] == f"{int(row['age']) // 10}0s"

    def test_lists_of_trials(self, tmp_path: Path) -> None:
        """A list becomes a table as it is; names that the corpus lacks are told."""
        found = written(tmp_path / "in", 4)
        trials = tmp_path / "list.txt"
        trials.write_text("1 s0/000 s0/001\n0 s0/000 s1/002\n0 s0/000 elsewhere\n")
        facts = packed(found, tmp_path / "out", tmp_path / "in", trial_lists={"veri": trials})
        table = map_table(tmp_path / "out" / "trials" / "veri.arrow")

        assert table.schema == TRIALS_SCHEMA
        assert [tuple(row.values()) for row in table.to_pylist()] == [
            (True, "s0/000", "s0/001"),
            (False, "s0/000", "s1/002"),
            (False, "s0/000", "elsewhere"),
        ]
        assert "trials/veri.arrow: 3 trials; 1 of them name an utterance that is not in the corpus" in facts.notes
        trials.write_text("perhaps s0/000 s0/001\n")
        with pytest.raises(CorpusError, match=r"list.txt: 1 trials cannot be read: line 1"):
            packed(found, tmp_path / "new", tmp_path / "in", trial_lists={"veri": trials})
        assert not (tmp_path / "new" / "audio").exists()


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-6000])


FAULTS = {
    "zero bytes": (".wav", lambda path: path.write_bytes(b""), r"empty file \(0 bytes\)"),
    "text": (".wav", lambda path: path.write_text("words"), "not readable as audio"),
    "cut WAV": (".wav", shortened, "truncated: its header tells"),
    "cut FLAC": (".flac", shortened, "not readable as audio|truncated"),
    "no samples": (".wav", lambda path: soundfile.write(path, np.zeros((0, 1)), 16000), "empty: holds no samples"),
    "NaN": (
        ".wav",
        lambda path: soundfile.write(path, np.full(9000, np.nan), 16000, subtype="FLOAT"),
        "holds NaN or infinite samples",
    ),
    "unscaled": (
        ".wav",
        lambda path: soundfile.write(path, np.full(9000, 3000.0), 16000, subtype="FLOAT"),
        "samples up to 3000",
    ),
    "gone": (".wav", lambda path: path.unlink(), "no such file"),
    "folder": (".wav", lambda path: (path.unlink(), path.mkdir()), "is a folder"),
}


class TestFaults:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_bad_file_is_left_out_with_its_reason(
        self, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ending, spoil, reason = FAULTS[fault]
        monkeypatch.setenv("PATH", "")
        found = written(tmp_path / "in", 11, ending=ending)
        spoil(Path(found[5].path))
        facts = packed(found, tmp_path / "out", tmp_path / "in")

        [(path, told)] = rejected_of(tmp_path / "out").items()
        assert path == os.path.relpath(found[5].path, tmp_path / "in")
        assert re.match(reason, told)
        assert (facts.num_utterances, facts.num_rejected) == (10, 1)
        assert any(note.startswith("left out, 1 file: ") for note in facts.notes)

    def test_aac_without_ffmpeg_is_told_before_the_work(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is recorded as bad that would be sound with ffmpeg."""
        monkeypatch.setenv("PATH", "")
        found = written(tmp_path / "in", 11)
        aac = Path(found[5].path).rename(tmp_path / "in" / "a.m4a")
        found[5] = Found(found[5].utterance, str(aac), found[5].speaker)
        with pytest.raises(CorpusError, match=r"a\.m4a: needs ffmpeg, as 1 file of 11 do, and it is not installed"):
            packed(found, tmp_path / "out", tmp_path / "in")
        assert not (tmp_path / "out" / "import.json").exists()

    def test_a_cause_outside_the_files_is_no_rejection(self, tmp_path: Path) -> None:
        """The same command goes on once it is mended, and nothing is left out."""
        found = written(tmp_path / "in", 30)
        is_mended = False

        def hear(one: Found, sample_rate: int) -> tuple[Any, tuple[str, ...]]:
            if one is found[29] and not is_mended:  # none of those that the forecast hears
                raise AudioFaultError("cannot be read: Input/output error", is_of_the_file=False)
            return hear_found(one, sample_rate)

        with pytest.raises(CorpusError, match=r"029.wav: cannot be read: Input/output error; mend that, .* goes on"):
            packed(found, tmp_path / "out", tmp_path / "in", hear=hear)
        assert list((tmp_path / "out").rglob("pieces/*.arrow")) == []
        is_mended = True
        facts = packed(found, tmp_path / "out", tmp_path / "in", hear=hear)

        assert (facts.num_utterances, facts.num_rejected) == (30, 0)

    def test_a_file_that_the_system_does_not_show(self, tmp_path: Path) -> None:
        """It is not taken for one that is gone."""
        found = [*written(tmp_path / "in", 11), Found("long", str(tmp_path / "in" / ("x" * 300)), "s")]
        with pytest.raises(CorpusError, match="cannot be read: File name too long; mend that, then import again"):
            packed(found, tmp_path / "out", tmp_path / "in")

    def test_clipping_is_told(self, tmp_path: Path) -> None:
        [one] = written(tmp_path / "in", 1)
        soundfile.write(one.path, np.full(9000, 1.5), 16000, subtype="FLOAT")
        facts = packed([one], tmp_path / "out", tmp_path / "in")

        assert "1 file: samples beyond full scale, clipped" in facts.notes

    def test_more_than_a_tenth_bad_is_an_error_unless_allowed(self, tmp_path: Path) -> None:
        """The first ones are named; what was decoded is kept for the same command with the permission."""
        found = written(tmp_path / "in", 6)
        Path(found[0].path).write_bytes(b"")
        with pytest.raises(CorpusError, match=r"1 of 6 files are bad, more than a tenth: s0/000.wav: empty file"):
            packed(found, tmp_path / "out", tmp_path / "in")
        assert not (tmp_path / "out" / "corpus.json").exists()
        told: list[str] = []
        facts = packed(found, tmp_path / "out", tmp_path / "in", is_bad_allowed=True, tell=told.append)
        assert (facts.num_utterances, facts.num_rejected) == (5, 1)
        assert told[0] == "going on: 1 of 1 pieces are there already"

    def test_what_the_user_leaves_out_is_not_bad(self, tmp_path: Path) -> None:
        """Limits of length, and speakers without an age class, are counted and are no faults."""
        found: list[Finding] = [*written(tmp_path / "in", 6)]
        found += [Faulty(str(tmp_path / "in" / f"{n}.wav"), f"{UNDER_20}: '12'") for n in range(4)]
        facts = packed(found, tmp_path / "out", tmp_path / "in", shortest_s=0.502, longest_s=0.503)
        table = map_table(tmp_path / "out" / "rejected.arrow")

        assert facts.num_utterances == 2
        assert table.schema == REJECTED_SCHEMA
        assert table["is_bad"].to_pylist() == [False] * 8
        assert "left out, 4 files: under 20" in facts.notes
        assert rejected_of(tmp_path / "out")["s0/000.wav"] == "shorter than 0.502 s: 0.5 s"
        assert rejected_of(tmp_path / "out")["s2/005.wav"] == "longer than 0.503 s: 0.505 s"

    def test_what_the_reader_found_faulty_or_odd(self, tmp_path: Path) -> None:
        """Faults go into the table, notes are counted by their sort, doubled names are named."""
        found: list[Finding] = [*written(tmp_path / "in", 12)]
        first = found[0]
        assert isinstance(first, Found)
        found.append(Found(first.utterance, str(tmp_path / "in" / "z.wav"), "s0"))
        found += [Note(first.path, "age not understood: 'x'"), Note(first.path, "age not understood: 'y'")]
        facts = packed(found, tmp_path / "out", tmp_path / "in")

        assert rejected_of(tmp_path / "out") == {"z.wav": "its name is taken: 's0/000' is s0/000.wav"}
        assert "age not understood: 2 x, the first s0/000.wav ('x')" in facts.notes

    def test_names_that_are_no_text(self, tmp_path: Path) -> None:
        found = written(tmp_path / "in", 10)
        odd = os.fsdecode(os.fsencode(tmp_path / "in") + b"/\xff.wav")
        soundfile.write(tmp_path / "z.wav", noise(0.5, 99), 16000)
        shutil.move(tmp_path / "z.wav", odd)
        packed([*found, Found("odd", odd, "s0")], tmp_path / "out", tmp_path / "in")

        assert rejected_of(tmp_path / "out") == {r"\udcff.wav": "its name is no UTF-8: rename it"}

    def test_nothing_left(self, tmp_path: Path) -> None:
        with pytest.raises(CorpusError, match=r"none of 2 utterances is left: left out, 2 files: shorter than 9 s"):
            packed(written(tmp_path / "in", 2), tmp_path / "out", tmp_path / "in", shortest_s=9)
        with pytest.raises(CorpusError, match=r"no utterance was found: 1 x no json"):
            packed([Faulty("/a.wav", "no json: a")], tmp_path / "out2", tmp_path / "in")

    @pytest.mark.parametrize("is_sound", [True, False])
    def test_m4a_goes_through_ffmpeg(self, is_sound: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What ffmpeg writes to its output is what is heard: a WAV whose header does not know its length."""
        [one] = written(tmp_path / "in", 1)
        wav = bytearray(Path(one.path).read_bytes())
        expected = decode_file(one.path, sample_rate=16000)
        wav[4:8] = wav[40:44] = b"\xff\xff\xff\xff"
        (tmp_path / "streamed").write_bytes(wav)
        tool = tmp_path / "ffmpeg"
        tool.write_text(
            f"#!/bin/sh\n{'cat' if is_sound else 'echo moov atom not found >&2; false'} {tmp_path}/streamed\n"
        )
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        aac = Path(one.path).rename(tmp_path / "in" / "a.m4a")
        found = [Found("a", str(aac), "s0"), *written(tmp_path / "in", 11)]
        packed(found, tmp_path / "out", tmp_path / "in")

        if is_sound:
            row = map_table(tmp_path / "out" / "utterances.arrow").to_pylist()[0]
            np.testing.assert_array_equal(expected, samples_of(tmp_path / "out", row))
        else:
            assert rejected_of(tmp_path / "out") == {"a.m4a": "not readable by ffmpeg: moov atom not found"}


class TestAgain:
    def test_a_finished_corpus_is_left_alone(self, tmp_path: Path) -> None:
        found = written(tmp_path / "in", 3)
        first = packed(found, tmp_path / "out", tmp_path / "in")
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*") if path.is_file()}
        told: list[str] = []

        assert first == packed(found, tmp_path / "out", tmp_path / "in", tell=told.append)
        assert told == ["nothing to do: it was imported already"]
        assert before == {path: path.stat().st_mtime_ns for path in before}
        assert not (tmp_path / "out" / "pieces").exists()

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            ({"sample_rate": 8000}, "sample_rate = 16000, but 8000"),
            ({"shortest_s": 0.1}, r"shortest_s = none, but 0.1"),
            ({"options": {"part": "studio"}}, "option part = none, but 'studio'"),
        ],
    )
    def test_other_options_are_refused(self, options: dict[str, Any], problem: str, tmp_path: Path) -> None:
        found = written(tmp_path / "in", 2)
        packed(found, tmp_path / "out", tmp_path / "in")
        with pytest.raises(CorpusError, match=problem):
            packed(found, tmp_path / "out", tmp_path / "in", **options)

    def test_other_contents_are_refused_saying_what_changed(self, tmp_path: Path) -> None:
        found = written(tmp_path / "in", 4)
        packed(found[:3], tmp_path / "out", tmp_path / "in")
        for others, problem in (
            (found, "1 of its utterances are new, the first 's1/003'"),
            (found[:2], "1 of its utterances are gone, the first 's1/002'"),
            (
                [Found("s0/000", found[0].path, "x", source="made"), *found[1:3]],
                "the speaker of 1 utterances changed, the first 's0/000': 's0' then, 'x' now",
            ),
        ):
            with pytest.raises(CorpusError, match=problem):
                packed(others, tmp_path / "out", tmp_path / "in")

    def test_files_written_to_are_compared(self, tmp_path: Path) -> None:
        """A copied file has another time and the same content; one of the same size may hold something else."""
        found = written(tmp_path / "in", 3)
        first = packed(found, tmp_path / "out", tmp_path / "in")
        os.utime(found[1].path, (1, 1))
        told: list[str] = []
        again = packed(found, tmp_path / "out", tmp_path / "in", tell=told.append)
        assert first.fingerprint == again.fingerprint
        assert told[-1] == "nothing to do: the contents are the same"

        soundfile.write(found[1].path, noise(0.501, 77), 16000)
        with pytest.raises(CorpusError, match="1 utterances sound different now, the first 's0/001'"):
            packed(found, tmp_path / "out", tmp_path / "in")

    @pytest.mark.parametrize("is_gone", [True, False])
    def test_a_damaged_corpus_is_told(self, is_gone: bool, tmp_path: Path) -> None:
        found = written(tmp_path / "in", 2)
        packed(found, tmp_path / "out", tmp_path / "in")
        shard = tmp_path / "out" / shard_name(0)
        if is_gone:
            shard.unlink()
        else:
            shard.write_bytes(shard.read_bytes()[:-8])
        words = "no such file" if is_gone else "damaged"
        with pytest.raises(CorpusError, match=f"{shard_name(0)}: .*{words}.*; delete the folder and import again"):
            packed(found, tmp_path / "out", tmp_path / "in")

    def test_a_place_that_cannot_be_looked_at(self, tmp_path: Path) -> None:
        with pytest.raises(CorpusError, match=r"cannot be written: .*File name too long"):
            packed(written(tmp_path / "in", 1), tmp_path / ("x" * 300), tmp_path / "in")

    def test_a_folder_of_other_things_is_refused(self, tmp_path: Path) -> None:
        found = written(tmp_path / "in", 1)
        with pytest.raises(CorpusError, match="is neither empty nor a packed corpus"):
            packed(found, tmp_path / "in", tmp_path / "in")
        with pytest.raises(CorpusError, match="is a file"):
            packed(found, Path(found[0].path), tmp_path / "in")
        with pytest.raises(CorpusError, match="s3://b/c: a corpus is imported into a folder"):
            pack(found, "s3://b/c", kind="made", folder=tmp_path)

    def test_two_imports_at_once_are_refused(self, tmp_path: Path) -> None:
        with (
            hold(tmp_path / "out" / LOCK, is_waiting=False),
            pytest.raises(CorpusError, match="another import is writing there"),
        ):
            packed(written(tmp_path / "in", 1), tmp_path / "out", tmp_path / "in")

    def test_a_full_disk_is_told_before_the_work(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        usage = shutil.disk_usage(tmp_path)._replace(free=1000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(CorpusError, match=r"needs about 16 kB, but 1 kB are free"):
            packed(written(tmp_path / "in", 1), tmp_path / "out", tmp_path / "in")


SLOW = """
    import csv, sys, time
    from pathlib import Path
    from trainables.corpora.found import Found
    from trainables.corpora.packing import pack
    from trainables.corpora.pieces import hear_found

    def slowly(found, sample_rate):
        time.sleep(0.05)
        return hear_found(found, sample_rate)

    if __name__ == "__main__":
        folder = Path(sys.argv[1])
        names = sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.wav"))
        found = [Found(name, str(folder / (name + ".wav")), name.split("/")[0], source="made") for name in names]
        pack(found, sys.argv[2], kind="made", folder=folder, workers=2, hear=slowly)
"""


def test_killed_and_continued(tmp_path: Path) -> None:
    """kill -9 in the middle: its processes go with it, what is done stays, and the end is the same to the last bit."""
    folder, out = tmp_path / "in", tmp_path / "out"
    found = written(folder, 30, seconds=10.0)
    whole = packed(found, tmp_path / "whole", folder)
    script = tmp_path / "slow.py"
    script.write_text(textwrap.dedent(SLOW))
    process = subprocess.Popen([sys.executable, str(script), str(folder), str(out)])
    try:
        while len(list(out.glob("pieces/*.arrow"))) < 2:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        children = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(children) >= 2
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []

    assert not (out / "corpus.json").exists()
    shards = [out / "audio" / f"shard-{path.stem}.arrow" for path in out.glob("pieces/*.arrow")]
    done = {shard: shard.stat().st_mtime_ns for shard in shards}
    assert 2 <= len(done) < len([name for name in whole.files if "shard" in name])
    (out / "audio" / "shard-00009.arrow.123.part").write_bytes(b"half")
    told: list[str] = []
    assert whole == packed(found, out, folder, tell=told.append)
    assert told[0].startswith(f"going on: {len(done)} of ")
    assert done == {shard: shard.stat().st_mtime_ns for shard in shards}
    assert tables_of(tmp_path / "whole") == tables_of(out)
    assert json.loads((out / "corpus.json").read_bytes()) == json.loads((tmp_path / "whole/corpus.json").read_bytes())
    assert list(out.rglob("*.part")) == []


def test_begun_with_other_files(tmp_path: Path) -> None:
    """An unfinished import of what is no more: a changed file of the same size begins it anew, others are refused."""
    found = written(tmp_path / "in", 6)
    Path(found[0].path).write_bytes(b"")
    with pytest.raises(CorpusError, match="more than a tenth"):
        packed(found, tmp_path / "out", tmp_path / "in")
    with pytest.raises(CorpusError, match="an unfinished import of other contents"):
        packed(found[1:], tmp_path / "out", tmp_path / "in")
    with pytest.raises(CorpusError, match="longest_s = none, but 2"):
        packed(found, tmp_path / "out", tmp_path / "in", longest_s=2.0)
    soundfile.write(found[3].path, noise(0.503, 50), 16000)
    told: list[str] = []
    packed(found, tmp_path / "out", tmp_path / "in", is_bad_allowed=True, tell=told.append)
    rows = {row["utterance"]: row for row in map_table(tmp_path / "out" / "utterances.arrow").to_pylist()}

    assert told[0] == "files were written to since the import began: it begins anew"
    expected = decode_file(found[3].path, sample_rate=16000)
    np.testing.assert_array_equal(expected, samples_of(tmp_path / "out", rows["s1/003"]))


def test_progress_and_forecast(tmp_path: Path) -> None:
    told: list[str] = []
    steps: list[tuple[int, int, float]] = []
    packed(
        written(tmp_path / "in", 8, seconds=10.0),
        tmp_path / "out",
        tmp_path / "in",
        tell=told.append,
        progress=lambda *step: steps.append(step),
    )

    assert told[0].startswith("8 utterances, about 0.022 hours of audio, 2.56 MB on the disk and ")
    assert steps[-1] == (8, 8, pytest.approx(80.028))
    assert [done for done, _, _ in steps] == sorted({done for done, _, _ in steps})
    assert len(steps) > 1


@pytest.mark.parametrize("is_sound", [True, False])
def test_pieces_are_cut_by_what_is_decoded(is_sound: bool, tmp_path: Path) -> None:
    """Where none of the utterances that are heard is kept, others may be: pieces stay small all the same."""
    found = written(tmp_path / "in", 20, seconds=2.0, ending=".flac")
    if not is_sound:
        for one in found:
            Path(one.path).write_bytes(b"x" * 64000)
    coming = forecast(found, file_states(found), recipe=Recipe(16000, longest_s=0.1), hear=hear_found)

    assert coming.num_bytes == 0
    assert sum(coming.bytes_of) == pytest.approx(20 * 64000, rel=0.01)


@given(st.lists(st.floats(0, 1e8), min_size=1, max_size=200))
def test_pieces_cover_all_and_are_even(bytes_of: list[float]) -> None:
    borders = cut(bytes_of)

    assert borders[0] == 0
    assert borders[-1] == len(bytes_of)
    assert all(start < end for start, end in pairwise(borders))
    goal = min(64 << 20, max(1 << 20, sum(bytes_of) / 16))
    for start, end in pairwise(borders):
        assert end - start == 1 or sum(bytes_of[start:end]) <= goal + max(bytes_of[start:end]) / 2 + 1
