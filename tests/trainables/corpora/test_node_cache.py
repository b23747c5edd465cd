"""A packed corpus on an object store: the same crops as from the disk, each file fetched once for a whole machine."""

import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pyarrow import fs

from trainables.corpora.corpus import AudioCache, CorpusError, crop
from trainables.corpora.found import Found
from trainables.corpora.node_cache import VARIABLE, RemoteFolder, cache_folder, told
from trainables.corpora.packed import open_packed
from trainables.corpora.packing import pack
from trainables.corpora.shards import File, file_facts, shard_name
from trainables.corpora.sources import open_roles

SPLITS = ("train",) * 3 + ("dev", "dev", "test", "test")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven speakers with two utterances and a list of trials, packed on the disk."""
    root = tmp_path_factory.mktemp("corpus")
    found = []
    for n in range(14):
        path = root / f"{n}.wav"
        soundfile.write(path, 0.1 * np.random.default_rng(n).standard_normal(8000 + n), 16000)
        found.append(Found(f"u{n:02d}", str(path), f"s{n // 2}", split=SPLITS[n // 2]))
    (root / "list.txt").write_text("1 u10 u11\n0 u10 u12\n1 u12 u13\n")
    pack(found, root / "packed", kind="made", folder=root, trial_lists={"own": root / "list.txt"})
    return root / "packed"


@pytest.fixture(scope="module")
def s3(corpus: Path) -> Iterator[str]:
    """The query of URIs on moto's S3 on the loopback, with the corpus in s3://bucket/packed."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        system = fs.S3FileSystem(
            endpoint_override=f"http://127.0.0.1:{port}", scheme="http", allow_bucket_creation=True
        )
        system.create_dir("bucket")
        fs.copy_files(str(corpus), "bucket/packed", destination_filesystem=system)
        yield f"endpoint_override=127.0.0.1%3A{port}&scheme=http"
    server.stop()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for copies."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "copies"))
    return tmp_path / "copies"


def files_in(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_the_same_splits_and_crops_as_from_the_disk(s3: str, corpus: Path) -> None:
    """A study of the URI, its list of trials included, hears what one of the folder hears."""
    remote, local = (
        open_roles({"train": [base], "test": [base], "trials": [trials]}, sample_rate=16000)
        for base, trials in (
            (f"s3://bucket/packed?{s3}", f"s3://bucket/packed/trials/own.arrow?{s3}"),
            (str(corpus), str(corpus / "trials" / "own.arrow")),
        )
    )

    assert (remote.fingerprint, remote.test_fingerprint) == (local.fingerprint, local.test_fingerprint)
    for one, other in ((remote.train, local.train), (remote.dev, local.dev), (remote.test, local.test)):
        assert one is not None
        assert other is not None
        caches = AudioCache(one), AudioCache(other)
        for i in range(len(other)):
            np.testing.assert_array_equal(*(crop(each.waveform(i), 0.3, 4000) for each in caches))
        assert caches[0].used_bytes == 0


def test_the_endpoint_of_the_environment(s3: str) -> None:
    """`AWS_ENDPOINT_URL` finds the store without options in the URI."""
    source = open_packed("s3://bucket/packed/")

    assert len(source.waveform(path=None, index=3, sample_rate=16000)) == 8003


def test_a_file_is_fetched_once(s3: str, corpus: Path, cache: Path) -> None:
    """Copies are named by their checksum; threads that ask at once share one, and nothing is left aside."""
    folder = RemoteFolder(f"s3://bucket/packed?{s3}")
    expected = file_facts(corpus / shard_name(0))
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(lambda _: folder.fetch(shard_name(0), expected), range(16)))
    [path] = paths
    before = path.stat()

    assert path.name == f"{expected.sha256}.arrow"
    assert path.read_bytes() == (corpus / shard_name(0)).read_bytes()
    assert folder.fetch(shard_name(0), expected) == path
    assert path.stat().st_ino == before.st_ino
    assert files_in(cache) == [path]


READER = """
    import sys
    from trainables.corpora.packed import open_packed
    source = open_packed(sys.argv[1])
    print(sum(int(source.waveform(path=None, index=i, sample_rate=16000).astype("int64").sum()) for i in range(14)))
"""


def test_several_processes_share_the_copies(s3: str, cache: Path) -> None:
    words = [sys.executable, "-c", textwrap.dedent(READER), f"s3://bucket/packed?{s3}"]
    readers = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    told_by = {reader.communicate(timeout=60)[0] for reader in readers}

    assert [reader.returncode for reader in readers] == [0, 0, 0]
    assert len(told_by) == 1
    assert len(files_in(cache)) == 2  # the table and the shard


@pytest.mark.parametrize("damage", ["short", "long", "flipped", "gone"])
def test_a_damaged_copy_is_fetched_again(damage: str, s3: str, corpus: Path) -> None:
    folder = RemoteFolder(f"s3://bucket/packed?{s3}")
    expected = file_facts(corpus / shard_name(0))
    path = folder.fetch(shard_name(0), expected)
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        flipped = bytes([whole[3000] ^ 1])
        broken = {"short": whole[:-1], "long": whole + b"x", "flipped": whole[:3000] + flipped + whole[3001:]}
        path.write_bytes(broken[damage])

    assert folder.fetch(shard_name(0), expected).read_bytes() == whole


def test_a_sound_copy_that_was_touched_stays(s3: str, corpus: Path) -> None:
    folder = RemoteFolder(f"s3://bucket/packed?{s3}")
    expected = file_facts(corpus / shard_name(0))
    path = folder.fetch(shard_name(0), expected)
    before = path.stat().st_ino
    os.utime(path)

    assert folder.fetch(shard_name(0), expected).stat().st_ino == before


class TestFaults:
    def test_the_store_holds_another_file(self, s3: str, cache: Path) -> None:
        """A file that is not what corpus.json says is refused, and no copy of it is kept."""
        other = File(num_bytes=3, sha256=hashlib.sha256(b"abc").hexdigest())
        with pytest.raises(CorpusError, match=r"s3://bucket/packed/corpus.json: is not what its corpus.json says"):
            RemoteFolder(f"s3://bucket/packed?{s3}").fetch("corpus.json", other)
        assert files_in(cache) == []

    def test_no_such_corpus_or_list(self, s3: str) -> None:
        with pytest.raises(CorpusError, match=r"s3://bucket/packd/corpus.json: no such file"):
            open_packed(f"s3://bucket/packd?{s3}")
        roles = {"train": [f"s3://bucket/packed?{s3}"], "test": [f"s3://bucket/packed?{s3}"]}
        for name, problem in (
            ("packed/trials/ownn.arrow", r"has trials/own.arrow; did you mean 'trials/own.arrow'"),
            ("list.txt", r"s3://bucket/list.txt: a list of trials on an object store is that of a packed corpus"),
        ):
            with pytest.raises(CorpusError, match=problem):
                open_roles({**roles, "trials": [f"s3://bucket/{name}?{s3}"]}, sample_rate=16000)

    def test_a_store_that_does_not_exist(self) -> None:
        with pytest.raises(CorpusError, match=r"nosuch://bucket/x: cannot be reached: "):
            open_packed("nosuch://key:secret@bucket/x?token=secret")

    def test_the_copies_have_no_place(self, s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").write_text("no folder")
        monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
        with pytest.raises(CorpusError, match=rf"cannot be written: .*; {VARIABLE} names another folder"):
            open_packed(f"s3://bucket/packed?{s3}")


def test_where_copies_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() == tmp_path / "copies"
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "voxstudy" / "corpora"


def test_what_is_told_has_no_secrets() -> None:
    assert told("s3://key:secret@bucket/a?scheme=http") == "s3://bucket/a"
