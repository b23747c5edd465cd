"""What makes two trials the same trial: directories, checkpoints and re-runs go by these names."""

import hashlib
import json
from collections.abc import Mapping

from search_spaces.knobs import active_knobs

DIGITS = 12


def config_id(trainable: str, config: object, init: Mapping[str, str] | None = None) -> str:
    """The identity of a configuration: 12 hex digits over the trainable's name and the knobs that have an effect.

    A knob that is inactive (`when=` not met) is no part of it; the order of the knobs in the class is not either.
    `init` says whose weights a trial starts from, if it does not start from its seed's: then it is another config.
    """
    facts: dict[str, object] = {"trainable": trainable, "knobs": active_knobs(config)}
    return hash_of({**facts, "init": dict(init)} if init else facts)


def trial_id(config_id: str, seed: int, fingerprint: str) -> str:
    """The identity of a trial: 12 hex digits over configuration, seed and the corpus's fingerprint."""
    return hash_of({"config": config_id, "seed": seed, "corpus": fingerprint})


def hash_of(facts: object) -> str:
    """12 hex digits of SHA-256 over canonical JSON (sorted keys, no blanks, floats as `repr` writes them)."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:DIGITS]
