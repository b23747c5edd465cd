"""Corpora of every kind from their tree of files to an epoch of training; the same epoch from a disk and from S3."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from pyarrow import fs

from search_spaces.contrastive_mixup import ContrastiveMixup
from trainables.contrastive_mixup import build
from trainables.corpora.corpus import AudioCache
from trainables.corpora.describe import open_whole
from trainables.corpora.kinds.catalogue import KINDS
from trainables.corpora.node_cache import VARIABLE
from trainables.corpora.packing import pack
from trainables.corpora.sources import open_roles
from trainables.corpora.splits import audio_caches

CONFIG = replace(
    ContrastiveMixup(),
    width=4,
    embedding_size=8,
    mels=16,
    batch_speakers=4,
    crop_s=0.4,
    eval_crop_s=0.4,
    eval_crops=2,
    epochs=1,
)


def packed(kind: str, trees: ModuleType, folder: Path, **options: Any) -> str:
    """A tree of a kind, packed; the place of the packed corpus."""
    trees.tree(kind, folder / "tree", **{"speakers": 40, "utterances": 2, **options})
    where = folder / "tree" / "manifest.csv" if kind == "manifest" else folder / "tree"
    reader = KINDS[kind]
    facts = pack(
        reader.read(where, options={}),
        str(folder / "packed"),
        kind=kind,
        folder=folder / "tree",
        trial_lists=reader.trial_lists(where),
    )

    assert 0 == facts.num_rejected
    return str(folder / "packed")


def epoch(place: str) -> dict[str, float]:
    """What an epoch measures: the losses of its steps, then the dev metrics."""
    splits = open_roles({"train": [place]}, sample_rate=CONFIG.sample_rate)
    task = build(CONFIG, seed=0, splits=splits, audio=audio_caches(splits), device=torch.device("cpu"), rank=0, size=1)
    optimizer, _ = task.optimizer()
    losses = []
    for batch in task.batches(1):
        optimizer.zero_grad()
        loss = task.module(batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    assert len(losses) >= 5
    return {**{f"loss {step}": loss for step, loss in enumerate(losses)}, **task.evaluate()}


@pytest.fixture
def s3_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """The URI of a bucket of moto's server, and what to add to it."""
    from moto.server import ThreadedMotoServer

    monkeypatch.setenv(VARIABLE, str(tmp_path / "copies"))
    for name, value in (("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_REGION", "us-east-1")):
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield "s3://bucket", f"?scheme=http&endpoint_override={host}:{port}&allow_bucket_creation=true"
    server.stop()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_trains_for_an_epoch(kind: str, trees: ModuleType, tmp_path: Path) -> None:
    """Imported and trained on: finite losses, and dev trials that could be scored."""
    measured = epoch(packed(kind, trees, tmp_path))

    assert all(torch.isfinite(torch.tensor(value)) for value in measured.values())
    assert 0 <= measured["eer"] <= 1


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="Debian's ffmpeg is not installed")
def test_voxceleb2_as_it_is_given_out(trees: ModuleType, tmp_path: Path) -> None:
    """AAC in .m4a files, decoded by ffmpeg: about as long as what was encoded, and the same voice."""
    place = packed("voxceleb2", trees, tmp_path, speakers=4, ending=".m4a")
    cache = AudioCache(open_whole(place, sample_rate=16_000))

    assert 12 == len(cache.corpus)
    for row in range(len(cache.corpus)):
        samples_T = cache.waveform(row)
        assert 0.55 * 16_000 < len(samples_T) < 0.8 * 16_000  # an encoder pads to whole frames
        assert samples_T.astype(float).std() > 100


def test_files_folder_and_object_store_give_the_same_epoch(
    trees: ModuleType, tmp_path: Path, s3_root: tuple[str, str]
) -> None:
    """To the last bit."""
    place = packed("manifest", trees, tmp_path)
    root, query = s3_root
    filesystem, bucket = fs.FileSystem.from_uri(root + query)
    fs.copy_files(place, f"{bucket}/packed", destination_filesystem=filesystem)
    from_files, from_folder = epoch(str(tmp_path / "tree" / "manifest.csv")), epoch(place)

    assert from_files == from_folder == epoch(f"{root}/packed{query}")
