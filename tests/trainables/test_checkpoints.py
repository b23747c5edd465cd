"""Checkpoint files: their names, which one is newest, what is kept, and what happens to damaged ones."""

import io

import pytest
import torch
from torch import nn

from trainables.checkpoints import Checkpoints, InitialError, load_weights, weights_of

FOLDER = "checkpoints/abc"


def state(value):
    return {"module": {"weight": torch.full((64,), float(value))}, "optimizer": {"step": value, "betas": (0.9, 0.999)}}


def history(epoch):
    return [{"epoch": e, "metrics": {"eer": e / 10}, "duration_s": 0.5} for e in range(epoch + 1)]


@pytest.fixture
def filled(store):
    """Epochs 0 to 4 of attempt 1, then 5 and 6 of attempt 2."""
    for epoch in range(7):
        Checkpoints(store, FOLDER, attempt=1 if epoch < 5 else 2).save(epoch, state(epoch), history(epoch))
    return Checkpoints(store, FOLDER, attempt=3)


def test_a_checkpoint_comes_back_as_it_was(store):
    """State and history survive the way through the store; the name tells attempt and epoch."""
    name = Checkpoints(store, FOLDER, attempt=2).save(7, state(7), history(7))
    epoch, found, rows = Checkpoints(store, FOLDER, attempt=3).load_newest()

    assert "a002-e00007.pt" == name
    assert [name] == store.names(FOLDER)
    assert 7 == epoch
    assert history(7) == rows
    assert state(7)["optimizer"] == found["optimizer"]
    assert torch.equal(state(7)["module"]["weight"], found["module"]["weight"])


def test_nothing_is_found_in_an_empty_folder(store):
    """No file, no checkpoint; files of other names are none of ours."""
    store.write(f"{FOLDER}/a001-e00001.pt.tmp", b"")
    store.write(f"{FOLDER}/notes.txt", b"")

    assert Checkpoints(store, FOLDER, attempt=1).load_newest() is None


def test_newest_is_the_highest_epoch_and_then_the_later_attempt(store, filled):
    """An attempt that fell back and wrote an epoch again counts; a later attempt at an earlier epoch does not."""
    assert 6 == filled.load_newest()[0]
    filled.save(6, state(66), history(6))
    filled.save(5, state(55), history(5))

    assert 66 == filled.load_newest()[1]["optimizer"]["step"]
    assert 55 == filled.load_newest(epoch=5)[1]["optimizer"]["step"]
    assert filled.load_newest(epoch=9) is None


def flipped(data):
    middle = data.index(torch.full((64,), 6.0).numpy().tobytes()) + 128
    return data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:0],
        lambda data: data[:-1],
        lambda data: data[::-1],
        flipped,
    ],
    ids=["half", "empty", "a byte short", "garbage", "a bit flipped"],
)
def test_a_damaged_file_is_named_and_the_one_before_is_used(store, filled, capsys, damage):
    """However it is damaged: a warning with its name, and the older file."""
    path = f"{FOLDER}/a002-e00006.pt"
    store.write(path, damage(store.read(path)))

    assert 5 == filled.load_newest()[0]
    assert f"warning: {path} skipped" in capsys.readouterr().out


def test_a_checkpoint_cannot_run_code(store, filled, capsys):
    """A pickle that would call a function when it is read is refused."""

    class Bomb:
        def __reduce__(self):
            return print, ("BOOM",)

    data = io.BytesIO()
    torch.save({"epoch": 7, "state": Bomb(), "history": []}, data)
    store.write(f"{FOLDER}/a003-e00007.pt", data.getvalue())

    assert 6 == filled.load_newest()[0]
    assert "BOOM" not in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("committed", "kept"),
    [(-1, [0, 1, 2, 3, 4, 5, 6]), (0, [0, 1, 2, 3, 4, 5, 6]), (3, [2, 3, 4, 5, 6]), (6, [5, 6]), (9, [5, 6])],
)
def test_the_last_two_committed_epochs_and_all_newer_ones_stay(store, filled, committed, kept):
    """What the tables do not have yet is never deleted; of what they have, two epochs stay."""
    filled.prune(committed)

    assert kept == [int(name[6:11]) for name in sorted(store.names(FOLDER), key=lambda name: name[5:])]


def test_of_one_epoch_only_the_later_attempt_stays(store, filled):
    """A file that was perhaps damaged does not count as one of the two."""
    filled.save(6, state(66), history(6))
    filled.prune(6)

    assert ["a002-e00005.pt", "a003-e00006.pt"] == store.names(FOLDER)


def test_weights_of_a_trial_are_those_of_its_last_epoch(store, filled):
    """Of no other: a damaged or missing one is an error that names the trial, even if an earlier one is there."""
    assert 6 == weights_of(store, "abc")["optimizer"]["step"]
    with pytest.raises(InitialError, match="trial other has no checkpoint"):
        weights_of(store, "other")
    newest = max(store.names(FOLDER), key=lambda name: name.split("-e")[1])
    store.write(f"{FOLDER}/{newest}", store.read(f"{FOLDER}/{newest}")[:-50])
    with pytest.raises(InitialError, match=f"damaged: trial abc, {newest}"):
        weights_of(store, "abc")


def test_weights_are_loaded_all_or_not_at_all():
    """Missing, unknown and of another shape: the first three are named, and the module stays what it was."""
    module, other = nn.Linear(2, 3), nn.Linear(2, 3)
    load_weights(module, other.state_dict())

    assert torch.equal(other.weight, module.weight)
    wrong = {"weight": torch.zeros(2, 2), "scale": torch.zeros(1), "shift": torch.zeros(1)}
    with pytest.raises(InitialError) as caught:
        load_weights(module, wrong)

    assert (
        "the weights to start from do not fit: bias is missing, scale is unknown, shift is unknown, and 1 more"
        == str(caught.value)
    )
    with pytest.raises(InitialError, match=r"fit: weight has shape \(2, 2\) instead of \(3, 2\)$"):
        load_weights(module, other.state_dict() | {"weight": torch.zeros(2, 2)})

    assert torch.equal(other.weight, module.weight)
