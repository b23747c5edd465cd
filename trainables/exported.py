"""A trained net in a folder of its own: weights as safetensors, facts as JSON; reading it runs no code of the folder.

`model.json` says everything that the weights do not: trainable, knobs, front end, and where the net comes from. The
weights' SHA-256 stands in it, for safetensors has no checksum and a flipped bit would be another net.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails
from safetensors import SafetensorError
from torch import Tensor

from search_spaces.knobs import knobs_of
from search_spaces.problems import nearest_name
from search_spaces.registry import CONFIGS, Config, build_config
from search_spaces.study import Source
from trainables import features
from trainables.checkpoints import misfits
from trainables.embedding import build_net
from trainables.verifier import Verifier

FORMAT = 1
WEIGHTS, FACTS, CARD = "weights.safetensors", "model.json", "MODEL_CARD.md"
MARK_DIGITS = 12  # of a speaker's hash: two of a million names alike by chance would be a surprise
NUM_NAMED = 3  # tensors named in a message
MOST_SHOWN = 60  # characters of a wrong value


class _Facts(BaseModel):
    """A part of model.json; what a later version adds is let be."""

    model_config = ConfigDict(strict=True, extra="allow")


class _Weights(_Facts):
    file: Literal["weights.safetensors"]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    tensors: Annotated[int, Field(ge=1)]
    parameters: Annotated[int, Field(ge=1)]


class _Trial(_Facts):
    id: Annotated[str, Field(min_length=1)]
    threads: Annotated[int, Field(ge=1)]


class _Held(_Facts):
    role: str
    source: str
    fingerprint: str


class _Corpus(_Facts):
    roles: dict[str, list[Source]]
    held: list[_Held]
    test_fingerprint: str | None
    speakers: dict[Literal["train", "dev"], str] | None


class ModelFacts(_Facts):
    """What model.json must say for a net to be used; `config` and `front_end` are held against this version's own."""

    format: int
    voxstudy: str
    trainable: str
    config: dict[str, Any]
    front_end: dict[str, Any]
    weights: _Weights
    trial: _Trial
    corpus: _Corpus
    metrics: dict[str, dict[str, float]]


class ModelError(ValueError):
    """A folder that holds no exported net that this version can use."""


@dataclass(frozen=True)
class Model:
    """An exported net, ready to embed: in evaluation mode, on its device. `facts` is what model.json says.

    `notes` are sentences about what had to be assumed.
    """

    folder: str
    facts: Mapping[str, Any]
    config: Config
    module: Verifier
    device: torch.device
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What identifies the net in what it made: the trial, and the beginning of its weights' hash."""
        return f"trial {self.facts['trial']['id']}, weights {self.facts['weights']['sha256'][:12]}"


def front_end(config: Config) -> dict[str, Any]:
    """How audio becomes features: part of a net, for under another front end its weights mean nothing."""
    return {
        "sample_rate_hz": features.SAMPLE_RATE,
        "mels": config.mels,
        "n_fft": features.FFT_SAMPLES,
        "window": "hamming",
        "window_samples": features.WINDOW_SAMPLES,
        "hop_samples": features.HOP_SAMPLES,
        "energies": f"natural logarithm of mel power + {features.FLOOR:g}",
        "normalisation": "mean 0 and variance 1 over time, band by band",
        "crops": config.eval_crops,
        "crop_s": config.eval_crop_s,
    }


def speaker_mark(name: str) -> str:
    """What is kept of a speaker's name, to know him again: the beginning of its SHA-256."""
    return hashlib.sha256(name.encode()).hexdigest()[:MARK_DIGITS]


def packed_weights(weights: Mapping[str, Tensor]) -> bytes:
    """Tensors as the bytes of one safetensors file, the same for the same tensors."""
    data: bytes = safetensors.torch.save({name: tensor.cpu().contiguous() for name, tensor in weights.items()})
    return data


def as_json(facts: Mapping[str, Any]) -> bytes:
    """Facts as readable JSON, in their order, with a final newline."""
    return (json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def load_model(folder: str | Path, *, device: torch.device | None = None) -> Model:
    """Read an exported net onto a device, a GPU if there is one; raises ModelError with what is wrong."""
    place = Path(folder)
    facts = read_model_facts(place)
    config, notes = _config(facts, f"{place / FACTS}")
    _check_front_end(facts, config, f"{place / FACTS}")
    weights = _weights(place, str(facts["weights"]["sha256"]))
    # What is drawn here is overwritten: the process's own stream of random numbers goes on where it was.
    with torch.random.fork_rng(devices=[]):
        module = build_net(config)
    faults = misfits(module, weights)
    if faults:
        more = f", and {len(faults) - NUM_NAMED} more" if len(faults) > NUM_NAMED else ""
        raise ModelError(f"{place / WEIGHTS}: not the weights of this net: {', '.join(faults[:NUM_NAMED])}{more}")
    module.load_state_dict(weights)
    if device is None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Model(str(folder), facts, config, module.to(device).eval(), device, notes)


def read_model_facts(place: Path) -> dict[str, Any]:
    """What model.json says, its outline checked; raises ModelError."""
    file = place / FACTS
    try:
        facts = json.loads(file.read_bytes())
    except FileNotFoundError:
        why = "no such folder" if not place.is_dir() else f"no exported net: it has no {FACTS}"
        raise ModelError(f"{place}: {why}; `voxstudy export RUN --out DIR` makes one") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file}: cannot be read: {error}") from None
    if not isinstance(facts, dict) or "format" not in facts:
        raise ModelError(f"{file}: not an exported net's: it has no `format`")
    if facts["format"] != FORMAT:
        raise ModelError(f"{file}: of format {facts['format']!r}, but this version reads format {FORMAT}; export again")
    try:
        ModelFacts.model_validate(facts)
    except ValidationError as error:
        raise ModelError("\n".join(f"{file}: {_fault(each)}; export again" for each in error.errors())) from None
    return facts


def _fault(details: ErrorDetails) -> str:
    """Place, rule and value of what is wrong with a fact."""
    place = ".".join(map(str, details["loc"]))
    if details["type"] == "missing":
        return f"{place}: is missing"
    rule = details["msg"].replace("Input should", "must").replace("String should", "must")
    value = repr(details["input"])
    return f"{place}: {rule}, but it is {value if len(value) <= MOST_SHOWN else value[:MOST_SHOWN] + '…'}"


def _config(facts: Mapping[str, Any], file: str) -> tuple[Config, tuple[str, ...]]:
    """The config, and a note for each knob that the net's version did not know; raises ModelError."""
    trainable, values = facts["trainable"], facts["config"]
    if trainable not in CONFIGS:
        near = nearest_name(str(trainable), CONFIGS)
        meant = f"; did you mean {near!r}?" if near else ""
        raise ModelError(f"{file}: no trainable {trainable!r} in this version (it has {', '.join(CONFIGS)}){meant}")
    knobs = knobs_of(CONFIGS[trainable])
    problems = [f"{trainable} has no knob {name!r}" for name in values if name not in knobs]
    for name, value in values.items():
        why = knobs[name].why_not(value) if name in knobs else None
        problems += [f"{name}: {why}"] if why else []
    if problems:
        raise ModelError("\n".join(f"{file}: config: {problem}" for problem in problems))
    notes = [
        f"{file}: made before there was a knob {name}; it is {one.default}, as all was then"
        for name, one in knobs.items()
        if name not in values
    ]
    return build_config(trainable, values), tuple(notes)


def _check_front_end(facts: Mapping[str, Any], config: Config, file: str) -> None:
    own, given = front_end(config), facts["front_end"]
    other = [f"{name} is {given.get(name)!r} there and {own.get(name)!r} here" for name in own | given]
    other = [text for text, name in zip(other, own | given, strict=True) if own.get(name) != given.get(name)]
    if other:
        raise ModelError(f"{file}: trained with another front end than this version's: {', '.join(other)}")


def _weights(place: Path, expected: str) -> dict[str, Tensor]:
    file = place / WEIGHTS
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ModelError(f"{file}: cannot be read: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != expected:
        raise ModelError(f"{file}: not the file that was exported: its SHA-256 is not the one in {FACTS}")
    try:
        weights: dict[str, Tensor] = safetensors.torch.load(data)
    except SafetensorError as error:
        raise ModelError(f"{file}: not a safetensors file: {error}") from None
    return weights
