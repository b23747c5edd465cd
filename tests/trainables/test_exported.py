"""An exported net: written, read back, and everything that may be wrong with its folder said in a sentence."""

import hashlib
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from search_spaces.contrastive_mixup import ContrastiveMixup
from search_spaces.knobs import values_of
from trainables.embedding import build_net
from trainables.exported import (
    FACTS,
    FORMAT,
    WEIGHTS,
    ModelError,
    as_json,
    front_end,
    load_model,
    packed_weights,
    speaker_mark,
)

SMALL = ContrastiveMixup(width=4, embedding_size=16, mels=20, eval_crop_s=0.5, eval_crops=3)


TRIAL = {"id": "abc", "threads": 1}
CORPUS = {"roles": {"train": [{"source": "a.csv"}]}, "held": [], "test_fingerprint": None, "speakers": None}


def write(folder: Path, *, tensors=None, data=None, **changed) -> Path:
    """A model folder; `changed` are keys of model.json, `data` the bytes of the weights."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(1)
    packed = packed_weights(build_net(SMALL).state_dict() if tensors is None else tensors)
    facts = {
        "format": FORMAT,
        "voxstudy": "0",
        "trainable": "contrastive_mixup",
        "config": values_of(SMALL),
        "front_end": front_end(SMALL),
        "weights": {
            "file": WEIGHTS,
            "sha256": hashlib.sha256(packed if data is None else data).hexdigest(),
            "tensors": 1,
            "parameters": 1,
        },
        "trial": TRIAL,
        "corpus": CORPUS,
        "metrics": {"dev": {"eer": 0.1}, "test": {}},
        **changed,
    }
    (folder / WEIGHTS).write_bytes(packed if data is None else data)
    (folder / FACTS).write_bytes(as_json({name: fact for name, fact in facts.items() if fact is not None}))
    return folder


def test_weights_come_back_to_the_last_bit(tmp_path):
    """All parameters and buffers, in evaluation mode, and the process's random numbers go on where they were."""
    folder = write(tmp_path)
    torch.manual_seed(1)
    module = build_net(SMALL)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    model = load_model(folder, device=torch.device("cpu"))

    assert expected.tolist() == torch.rand(3).tolist()
    assert SMALL == model.config
    assert not model.module.training
    assert list(module.state_dict()) == list(model.module.state_dict())
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, model.module.state_dict()[name]), name
    assert () == model.notes
    assert "trial abc" in model.name


def test_the_same_tensors_give_the_same_bytes():
    """Whatever the order of the names."""
    weights = build_net(SMALL).state_dict()

    assert packed_weights(weights) == packed_weights(dict(reversed(weights.items())))


class Bomb:
    """A pickle that does something when it is read."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_no_pickle_is_ever_opened(tmp_path):
    """Neither one that lies in the folder, nor one in the place of the weights or of the facts, sums set right."""
    mark = tmp_path / "executed"
    bomb = pickle.dumps(Bomb(mark))
    torch.save(Bomb(mark), tmp_path / "torch.pt")
    pickle.loads(bomb)
    assert mark.is_dir(), "the bomb must be live"
    mark.rmdir()
    bombs = {"pickle": bomb, "torch": (tmp_path / "torch.pt").read_bytes()}
    for name, data in bombs.items():
        folder = write(tmp_path / f"beside-{name}")
        for file in ("weights.pt", "pytorch_model.bin", "model.pkl"):
            (folder / file).write_bytes(data)
        load_model(folder)
        with pytest.raises(ModelError, match="not a safetensors file"):
            load_model(write(tmp_path / f"weights-{name}", data=data))
        (folder / FACTS).write_bytes(data)
        with pytest.raises(ModelError, match="cannot be read"):
            load_model(folder)

    assert not mark.exists()


def said(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(folder)
    return str(caught.value)


def test_weights_that_are_not_those_that_were_exported(tmp_path):
    """A flipped bit, a cut file, no file."""
    folder = write(tmp_path)
    data = (folder / WEIGHTS).read_bytes()
    flipped = bytearray(data)
    flipped[-100] ^= 1
    for wrong in (bytes(flipped), data[: len(data) // 2], b""):
        (folder / WEIGHTS).write_bytes(wrong)

        assert "not the file that was exported" in said(folder)
    (folder / WEIGHTS).unlink()
    assert "No such file" in said(folder)


def test_weights_of_another_net(tmp_path):
    """Tensors that are missing, unknown or of another shape are named."""
    weights = dict(build_net(SMALL).state_dict())
    first = next(iter(weights))
    fewer = {name: tensor for name, tensor in weights.items() if name != first}

    assert f"{first} is missing" in said(write(tmp_path, tensors=fewer))
    assert "extra is unknown" in said(write(tmp_path, tensors={**weights, "extra": torch.zeros(1)}))
    wider = replace(SMALL, width=8)
    text = said(write(tmp_path, tensors=build_net(wider).state_dict()))
    assert "has shape" in text
    assert "more" in text
    cut = packed_weights(weights)[:-10]
    assert "not a safetensors file" in said(write(tmp_path, data=cut))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"format": 2}, "format 2, but this version reads format 1"),
        ({"format": None}, "no `format`"),
        ({"trainable": "contrastive_mixpu"}, "did you mean 'contrastive_mixup'"),
        ({"trainable": 3}, "trainable: must be"),
        ({"weights": None}, "weights: is missing"),
        ({"weights": {}}, "weights.sha256: is missing"),
        ({"weights": 3}, "weights: must be"),
        ({"weights": {"file": "../x.safetensors", "sha256": "0" * 64, "tensors": 1, "parameters": 1}}, "weights.file"),
        ({"weights": {"file": WEIGHTS, "sha256": 7, "tensors": 1, "parameters": 1}}, "weights.sha256: must be"),
        ({"config": []}, "config: must be"),
        ({"config": {**values_of(SMALL), "width": [4]}}, "width: must be"),
        ({"config": {**values_of(SMALL), "loss": {"a": 1}}}, "loss: must be"),
        ({"front_end": 3}, "front_end: must be"),
        ({"trial": {}}, "trial.id: is missing"),
        ({"trial": {**TRIAL, "threads": "two"}}, "trial.threads: must be"),
        ({"corpus": []}, "corpus: must be"),
        ({"corpus": {**CORPUS, "held": [{"role": "dev"}]}}, "corpus.held.0.source: is missing"),
        ({"corpus": {**CORPUS, "held": 4}}, "corpus.held: must be"),
        ({"corpus": {**CORPUS, "roles": {"train": ["a.csv"]}}}, "corpus.roles.train.0"),
        ({"corpus": {**CORPUS, "roles": {"train": [{"source": 3}]}}}, "corpus.roles.train.0.source"),
        ({"corpus": {**CORPUS, "speakers": {"train": 4}}}, "corpus.speakers.train: must be"),
        ({"metrics": {"dev": {"eer": "low"}}}, "metrics.dev.eer: must be"),
        ({"config": {**values_of(SMALL), "widht": 4}}, "no knob 'widht'"),
        ({"config": {**values_of(SMALL), "width": 5}}, "width: must be one of the choices"),
        ({"config": {**values_of(SMALL), "mels": 24}}, "another front end"),
        ({"front_end": {**front_end(SMALL), "hop_samples": 80}}, "hop_samples is 80 there and 160 here"),
        ({"front_end": {}}, "another front end"),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else None,
)
def test_facts_that_this_version_cannot_use(tmp_path, changed, expected):
    """Another format, an unknown trainable or knob, a value out of its range, another front end, something missing."""
    text = said(write(tmp_path, **changed))

    assert expected in text
    assert FACTS in text


def test_a_knob_that_came_later_has_its_default_and_is_told(tmp_path):
    """Nets that were exported before it stay usable."""
    values = {name: value for name, value in values_of(SMALL).items() if name != "gradient_clip"}
    write(tmp_path)
    facts = json.loads((tmp_path / FACTS).read_text())
    (tmp_path / FACTS).write_bytes(as_json({**facts, "config": values}))
    model = load_model(tmp_path)

    assert SMALL == model.config
    assert ["gradient_clip" in note for note in model.notes] == [True]


def test_folders_that_hold_no_net(tmp_path):
    """No folder, an empty one, and JSON that is none."""
    assert "no such folder" in said(tmp_path / "nothing")
    assert "it has no model.json" in said(tmp_path)
    (tmp_path / FACTS).write_text("{")
    assert "cannot be read" in said(tmp_path)
    (tmp_path / FACTS).write_text("[1]")
    assert "no `format`" in said(tmp_path)


def test_weights_are_what_is_trained_and_running_statistics_alone():
    """The tables of the front end are computed: in another version they may not be those that were exported."""
    module = build_net(SMALL)
    trained = {name for name, _ in module.named_parameters()}
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    rest = [name for name in module.state_dict() if name not in trained and name.rpartition(".")[2] not in statistics]

    assert [] == rest
    assert trained <= set(module.state_dict())


def test_a_table_of_the_front_end_is_refused(tmp_path):
    """Nothing is ignored: what is no weight of the net is no weight."""
    weights = {**build_net(SMALL).state_dict(), "features.log_mel.window": torch.zeros(4)}

    assert "features.log_mel.window is unknown" in said(write(tmp_path, tensors=weights))


def test_a_speaker_is_known_again_by_his_mark():
    """The same name, the same mark; it is no name."""
    assert speaker_mark("id10270") == speaker_mark("id10270") != speaker_mark("id10271")
    assert 12 == len(speaker_mark("id10270"))
