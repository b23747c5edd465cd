"""A packed corpus is read through memory maps: exact, unkept, small however large it is, and refused when damaged."""

import json
import pickle
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from trainables.corpora.corpus import AudioCache, CorpusError, crop
from trainables.corpora.found import Age, Found
from trainables.corpora.packed import PackedSource, open_packed
from trainables.corpora.packing import pack
from trainables.corpora.shards import shard_name
from trainables.corpora.sources import open_roles, parse_source

SPLITS = ("train",) * 4 + ("dev", "dev", "test", "test")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Sixteen utterances of eight speakers: four train, two dev, two test; two sources, two decades."""
    found = []
    for n in range(16):
        speaker = n // 2
        path = tmp_path / "in" / f"s{speaker}" / f"{n % 2}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = 0.1 * np.random.default_rng(n).standard_normal(8000 + 160 * n)
        soundfile.write(path, samples, 16000)
        found.append(
            Found(
                utterance=f"s{speaker}/{n % 2}.wav",
                path=str(path),
                speaker=f"s{speaker}",
                recording=f"r{n}",
                gender="FM"[speaker % 2],
                age=Age(25.0 + n, "20-30", "20s" if n < 5 else "30s"),
                source="studio" if n < 4 else "street",
                split=SPLITS[speaker],
            )
        )
    trials = tmp_path / "trials.txt"
    trials.write_text("1 s5/0.wav s5/1.wav\n0 s5/1.wav s4/0.wav\n")
    pack(found, tmp_path / "packed", kind="made", folder=tmp_path / "in", trial_lists={"own": trials})
    return tmp_path / "packed"


def rows_of(packed: PackedSource, **where: Any) -> list[dict[str, Any]]:
    wheres = [where] if where else []
    return list(packed.listing(number=3, sample_rate=16000, wheres=wheres).table.to_pylist())


class TestListing:
    def test_labels_are_those_of_the_table(self, corpus: Path) -> None:
        source = open_packed(str(corpus))
        listing = source.listing(number=3, sample_rate=16000)
        row = listing.table.to_pylist()[9]

        assert listing.fingerprint == json.loads((corpus / "corpus.json").read_bytes())["fingerprint"]
        assert {name: row[name] for name in ("source", "index", "utterance", "speaker", "gender", "split")} == {
            "source": 3,
            "index": 9,
            "utterance": "s4/1.wav",
            "speaker": "s4",
            "gender": "F",
            "split": "dev",
        }
        assert (row["age"], row["agesup"], row["agesub"], row["num_samples"]) == (34.0, "20-30", "30s", 8000 + 160 * 9)

    @pytest.mark.parametrize(
        ("where", "count"),
        [
            ({"source": "studio"}, 4),
            ({"gender": "female"}, 8),
            ({"agesub": ["30s"]}, 11),
            ({"age": {"max": 26}}, 2),
            ({"num_samples": {"min": 10100}, "split": "test"}, 2),
            ({"path": "s0/0.wav"}, 1),
        ],
    )
    def test_conditions_on_any_column(self, where: dict[str, Any], count: int, corpus: Path) -> None:
        """What is chosen keeps its index, and so its samples."""
        source = open_packed(str(corpus))
        rows = rows_of(source, **where)
        whole = {row["utterance"]: row["index"] for row in rows_of(source)}

        assert len(rows) == count
        assert all(whole[row["utterance"]] == row["index"] for row in rows)

    def test_a_column_that_is_not_there(self, corpus: Path) -> None:
        with pytest.raises(CorpusError, match=r"where: no column 'agesupp'.*did you mean 'agesup'"):
            rows_of(open_packed(str(corpus)), agesupp="60")

    def test_another_rate_is_refused(self, corpus: Path) -> None:
        source = open_packed(str(corpus))
        with pytest.raises(CorpusError, match=r"was packed at 16000 Hz, but 8000 Hz are asked for; .*--rate 8000"):
            source.listing(number=0, sample_rate=8000)
        with pytest.raises(CorpusError, match="was packed at 16000 Hz"):
            source.waveform(path=None, index=0, sample_rate=8000)


class TestWaveforms:
    def test_views_of_the_map_are_neither_copied_nor_kept(self, corpus: Path) -> None:
        roles = {"train": [str(corpus)]}
        train = open_roles(roles, sample_rate=16000).train
        cache = AudioCache(train)
        first, again = cache.waveform(2), cache.waveform(2)

        assert np.shares_memory(first, again)
        assert not first.flags.writeable
        assert not first.flags.owndata
        assert np.shares_memory(crop(first, 0.5, 4000), first)
        assert cache.used_bytes == 0

    def test_a_worker_gets_the_same(self, corpus: Path) -> None:
        """The source travels without its maps, and is opened where it arrives."""
        source = open_packed(str(corpus))
        waveform = source.waveform(path=None, index=5, sample_rate=16000)
        sent = pickle.dumps(source)

        assert len(sent) < 1000
        np.testing.assert_array_equal(waveform, pickle.loads(sent).waveform(path=None, index=5, sample_rate=16000))

    def test_a_study_hears_what_the_files_hold(self, corpus: Path) -> None:
        """Official splits; every crop equals that of a study of the manifest."""
        folder = corpus.parent / "in"
        lines = ["path,speaker,split"]
        lines += [f"s{s}/{n}.wav,s{s},{split}" for s, split in enumerate(SPLITS) for n in "01"]
        (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
        packed, direct = (
            open_roles({"train": [str(place)]}, sample_rate=16000) for place in (corpus, folder / "manifest.csv")
        )
        for one, other in ((packed.train, direct.train), (packed.dev, direct.dev)):
            caches = AudioCache(one), AudioCache(other)
            assert one.table["utterance"].to_pylist() == other.table["utterance"].to_pylist()
            for i in range(len(one)):
                for start in (0.0, 0.37, 1.0):
                    np.testing.assert_array_equal(*(crop(cache.waveform(i), start, 5000) for cache in caches))


class TestDamage:
    @pytest.mark.parametrize("name", ["utterances.arrow", shard_name(0), "trials/own.arrow"])
    def test_a_file_that_is_short_or_gone(self, name: str, corpus: Path) -> None:
        whole = (corpus / name).read_bytes()
        (corpus / name).write_bytes(whole[:-10])
        with pytest.raises(
            CorpusError, match=f"{name}: {len(whole) - 10} bytes, but its corpus.json says {len(whole)}"
        ):
            open_packed(str(corpus))
        (corpus / name).unlink()
        with pytest.raises(CorpusError, match=f"{name}: no such file, but its corpus.json names it"):
            open_packed(str(corpus))

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("{", "corpus.json is not what an import writes"),
            ("[]", "corpus.json is not what an import writes"),
            ('{"format": 99}', "a packed corpus of format 99, but this version reads format 1"),
        ],
    )
    def test_a_strange_corpus_json(self, text: str, problem: str, corpus: Path) -> None:
        (corpus / "corpus.json").write_text(text)
        with pytest.raises(CorpusError, match=problem):
            parse_source(str(corpus))

    def test_bytes_that_are_no_arrow(self, corpus: Path) -> None:
        for name in ("utterances.arrow", shard_name(0)):
            size = (corpus / name).stat().st_size
            (corpus / name).write_bytes(b"x" * size)
        with pytest.raises(CorpusError, match=r"cannot be read: .*; import it again"):
            open_packed(str(corpus))

    def test_a_folder_that_is_not_packed(self, tmp_path: Path) -> None:
        with pytest.raises(CorpusError, match=r"it is a folder without a corpus.json: give its manifest, or import it"):
            parse_source(str(tmp_path))

    def test_replaced_by_another(self, corpus: Path) -> None:
        """A worker that finds another corpus where its driver saw one says so."""
        source = open_packed(str(corpus))
        facts = json.loads((corpus / "corpus.json").read_bytes())
        (corpus / "corpus.json").write_text(json.dumps({**facts, "fingerprint": "other"}))
        open_packed(str(corpus))
        with pytest.raises(CorpusError, match="another corpus than when it was opened"):
            source.waveform(path=None, index=0, sample_rate=16000)


def test_replaced_while_it_is_in_use(tmp_path: Path, corpus: Path) -> None:
    """Another corpus's samples are never given, not even those of a shard of the same size."""
    source = open_packed(str(corpus))
    path = tmp_path / "in" / "s0" / "0.wav"
    samples, rate = soundfile.read(path)
    soundfile.write(path, samples[::-1], rate)
    found = [Found("s0/0.wav", str(path), "s0", source="studio")]
    shutil.rmtree(corpus)
    pack(found, corpus, kind="made", folder=tmp_path / "in")
    with pytest.raises(CorpusError, match=f"{shard_name(0)}: changed since the corpus was opened"):
        source.waveform(path=None, index=0, sample_rate=16000)


# The peak of the process alone: getrusage's is inherited from the parent.
MEMORY = """
    import sys
    from trainables.corpora.packed import open_packed

    def peak():
        return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

    before = peak()
    source = open_packed(sys.argv[1])
    listing = source.listing(number=0, sample_rate=16000)
    assert len(listing.table) == 1_000_000
    assert listing.table["speaker"][999_999].as_py() == "id05999"
    print((peak() - before) / 1024)
"""


def test_a_million_utterances_take_little_memory(tmp_path: Path, corpus: Path) -> None:
    """The table is mapped; the corpus's samples are not touched at all."""
    count = 1_000_000
    million(corpus, tmp_path / "million", count)
    script = textwrap.dedent(MEMORY)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "million")], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert 0 < float(done.stdout) < 200


def million(corpus: Path, out: Path, count: int) -> None:
    """Write a table of so many utterances, all of them the samples of one."""
    from trainables.corpora.shards import UTTERANCES_SCHEMA, file_facts, map_table, write_table

    (out / "audio").mkdir(parents=True)
    shard = shard_name(0)
    (out / shard).write_bytes((corpus / shard).read_bytes())
    number = pa.array(np.arange(count))
    speakers = pa.array([f"id{n:05d}" for n in range(6000)]).take(pa.array(np.arange(count) * 6000 // count))
    names = pa.compute.binary_join_element_wise(speakers, number.cast(pa.string()), "/")
    one = map_table(corpus / "utterances.arrow").slice(0, 1)
    columns = {name: one[name].combine_chunks().take(pa.array(np.zeros(count, np.int32))) for name in one.column_names}
    columns |= {"utterance": names, "speaker": speakers, "content": names, "path": names}
    write_table(out / "utterances.arrow", pa.table(columns, schema=UTTERANCES_SCHEMA))
    facts = json.loads((corpus / "corpus.json").read_bytes())
    files = {name: vars(file_facts(out / name)) for name in ("utterances.arrow", shard)}
    (out / "corpus.json").write_text(json.dumps({**facts, "num_utterances": count, "files": files}))
