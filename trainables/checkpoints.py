"""A trial's checkpoints: one file an epoch, named by attempt and epoch, the last two kept.

A checkpoint holds the whole state of a trial at the border of an epoch and the metric rows of all its epochs, so that
a driver that lost rows gets them again. Another trial may start from its weights. Files are read with
`weights_only=True`: a run directory from elsewhere cannot run code here.
"""

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

NAME = re.compile(r"a(?P<attempt>\d{3,})-e(?P<epoch>\d{5,})\.pt")
NUM_KEPT = 2
NUM_NAMED = 3  # parameters named in a message

State = dict[str, Any]  # of module, optimizer and scheduler
History = list[dict[str, Any]]  # a row an epoch, from epoch 0


class InitialError(ValueError):
    """The weights that a trial should start from are not there, or are those of another net."""


class Store(Protocol):
    """Where objects lie by name: a run directory, local or in an object store."""

    def write(self, path: str, data: bytes) -> None:
        """Write all of it or nothing."""
        ...

    def read(self, path: str) -> bytes:
        """The object's bytes."""
        ...

    def names(self, folder: str) -> Sequence[str]:
        """The names in a folder; none if it does not exist."""
        ...

    def delete(self, path: str) -> None:
        """Remove the object."""
        ...


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one trial, written by attempt number `attempt`."""

    store: Store
    folder: str
    attempt: int

    def save(self, epoch: int, state: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> str:
        """Write the state after `epoch` with the rows up to it; the file's name."""
        name = f"a{self.attempt:03d}-e{epoch:05d}.pt"
        data = io.BytesIO()
        torch.save({"epoch": epoch, "state": dict(state), "history": [dict(row) for row in history]}, data)
        self.store.write(f"{self.folder}/{name}", data.getvalue())
        return name

    def load_newest(self, *, epoch: int | None = None) -> tuple[int, State, History] | None:
        """(epoch, state, history) of the newest readable checkpoint, or of the one of that `epoch`; tensors on the CPU.

        Newest is the highest epoch; of equal epochs the later attempt. A damaged file is named in a printed warning
        and the one before it used.
        """
        for at, _, name in self._newest_first():
            if epoch is not None and at != epoch:
                continue
            try:
                return _unpacked(self.store.read(f"{self.folder}/{name}"))
            except Exception as error:  # a damaged file fails in many ways, all of which mean: use an older one
                reason = str(error).splitlines()[0] if str(error) else ""
                print(f"warning: {self.folder}/{name} skipped: {type(error).__name__}: {reason}", flush=True)
        return None

    def newest_name(self) -> str | None:
        """The file of the highest epoch and, of that, the latest attempt, readable or not; None without any."""
        return next((name for _, _, name in self._newest_first()), None)

    def prune(self, committed: int) -> None:
        """Delete what no restart needs once the rows up to epoch `committed` are safe in the tables.

        Kept are the last two epochs up to `committed`, and everything newer.
        """
        kept: set[int] = set()
        for epoch, _, name in self._newest_first():
            if epoch > committed:
                continue
            if epoch not in kept and len(kept) < NUM_KEPT:
                kept.add(epoch)
            else:
                self.store.delete(f"{self.folder}/{name}")

    def _newest_first(self) -> list[tuple[int, int, str]]:
        matches = [match for name in self.store.names(self.folder) if (match := NAME.fullmatch(name))]
        return sorted(((int(m["epoch"]), int(m["attempt"]), m.string) for m in matches), reverse=True)


def folder_of(trial_id: str) -> str:
    """Where a trial's checkpoints lie in its run."""
    return f"checkpoints/{trial_id}"


def weights_of(store: Store, trial_id: str) -> State:
    """The state of a finished trial after its last epoch; raises InitialError if the store holds none of its."""
    newest = Checkpoints(store, folder_of(trial_id), attempt=1).newest_name()
    if newest is None:
        raise InitialError(f"the weights to start from are missing: trial {trial_id} has no checkpoint")
    data = store.read(f"{folder_of(trial_id)}/{newest}")  # a store that does not answer is no fault of the weights
    try:
        # No earlier one will do: a trial is known by its last epoch, and so is whoever starts from it.
        return _unpacked(data)[1]
    except Exception as error:
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InitialError(f"the weights to start from are damaged: trial {trial_id}, {newest}: {why}") from error


def load_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load all parameters and buffers; raises InitialError, naming the first that do not fit, and then loads none."""
    faults = misfits(module, weights)
    if faults:
        more = f", and {len(faults) - NUM_NAMED} more" if len(faults) > NUM_NAMED else ""
        raise InitialError(f"the weights to start from do not fit: {', '.join(faults[:NUM_NAMED])}{more}")
    module.load_state_dict(dict(weights))


def misfits(module: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """What keeps weights from being those of a module: parameters and buffers that one of them lacks, other shapes."""
    own = module.state_dict()
    faults = [f"{name} is missing" for name in own if name not in weights]
    faults += [f"{name} is unknown" for name in weights if name not in own]
    faults += [
        f"{name} has shape {tuple(weights[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    return faults


def _unpacked(data: bytes) -> tuple[int, State, History]:
    # torch.load does not compare the checksums that torch.save wrote: a flipped bit would become a weight.
    damaged = zipfile.ZipFile(io.BytesIO(data)).testzip()
    if damaged is not None:
        raise ValueError(f"the checksum of {damaged} does not fit")
    found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return int(found["epoch"]), found["state"], found["history"]
