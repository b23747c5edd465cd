"""The knobs of `contrastive_mixup`: speaker verification with the angular prototypical loss and contrastive mixup.

The defaults are the paper's (Zhang et al., "Contrastive-mixup learning for improved speaker verification", 2022), and
so the arm "paper" of every study; where the paper is silent, those of clovaai/voxceleb_trainer, which it builds on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from search_spaces.knobs import knob
from search_spaces.problems import Problem

MIXUPS = ("ce_mixup", "contrastive_mixup")


@dataclass(frozen=True)
class ContrastiveMixup:
    """One configuration of the trainable `contrastive_mixup`."""

    metrics: ClassVar[Mapping[str, str]] = {"eer": "minimize", "min_dcf": "minimize"}
    roles: ClassVar[tuple[str, ...]] = ("train", "dev", "test", "trials", "noise", "rooms")
    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {"augmentation": ("noise", "rooms")}  # roles, where a knob is true
    sample_rate: ClassVar[int] = 16_000

    loss: str = knob(
        "contrastive_mixup",
        "what is minimised: angular prototypical loss, cross entropy on mixed speakers, or contrastive mixup",
        choices=("ap", "ce_mixup", "contrastive_mixup"),
    )
    beta_alpha: float = knob(
        0.1,
        "the mixing ratio is drawn from Beta(α, α): larger mixes more, 0 not at all",
        low=0.05,
        high=1.0,
        minimum=0.0,
        when={"loss": MIXUPS},
    )
    mixup_level: str = knob(
        "waveform",
        "where two speakers are mixed: in the samples or in the log-mel features",
        choices=("waveform", "log_mel"),
        when={"loss": MIXUPS},
    )
    volume: str = knob(
        "rms",
        "what of the partner is scaled to the speaker's own level before mixing",
        choices=("rms", "peak", "none"),
        when={"loss": MIXUPS, "mixup_level": ("waveform",)},
    )
    partner: str = knob(
        "permutation",
        "whom a query is mixed with: whoever a permutation of the batch gives, oneself too, or never oneself",
        choices=("permutation", "derangement"),
        when={"loss": MIXUPS},
    )
    augmentation: bool = knob(
        False, "each training utterance hears noise, music, babble, a room or nothing, before it is mixed"
    )
    negatives: str = knob(
        "gather",
        "whom a query is told apart from, and whose statistics normalise: the whole batch, or one worker's share of it",
        choices=("gather", "local"),
    )
    learning_rate: float = knob(1e-3, "Adam's first learning rate", low=1e-4, high=1e-2, log=True, above=0.0)
    lr_decay: float = knob(
        0.95, "what the learning rate is multiplied with every `lr_decay_epochs` epochs", above=0.0, maximum=1.0
    )
    lr_decay_epochs: int = knob(10, "epochs from one decay of the learning rate to the next", minimum=1)
    gradient_clip: float = knob(0.0, "largest 2-norm of a step's gradient; 0 does not clip", minimum=0.0)
    train_utterances: int = knob(0, "utterances of each training speaker that are used; 0 is all of them", minimum=0)
    batch_speakers: int = knob(400, "speakers in a batch, over all workers", minimum=2)
    batch_utterances: int = knob(2, "utterances of each speaker in a batch; the last one is the query", minimum=2)
    crop_s: float = knob(2.015, "seconds of an utterance that are heard in training", minimum=0.2, maximum=60.0)
    eval_crop_s: float = knob(4.015, "seconds of each crop in evaluation", minimum=0.2, maximum=60.0)
    eval_crops: int = knob(10, "evenly spaced crops of an utterance in evaluation", minimum=1)
    epoch_steps: int = knob(0, "steps of an epoch, over as many passes as they take; 0 is whole passes", minimum=0)
    passes: int = knob(1, "passes over every speaker's utterances in an epoch", minimum=1, when={"epoch_steps": (0,)})
    epochs: int = knob(500, "epochs of a full trial", minimum=1)
    width: int = knob(16, "channels of the net's first stage; the paper's Fast ResNet34 has 16", choices=(4, 8, 16, 32))
    pooling: str = knob(
        "sap",
        "how frames become one vector: self-attentive mean, or attentive mean and standard deviation",
        choices=("sap", "asp"),
    )
    embedding_size: int = knob(512, "dimensions of a speaker embedding", minimum=2)
    mels: int = knob(40, "mel bands of the front end", minimum=16, maximum=128)
    precision: str = knob("float32", "the arithmetic of the net", choices=("float32", "bf16"))

    def loss_speakers(self, workers: int) -> int:
        """How many speakers a query is told apart from, its own included, when `workers` share a batch."""
        return self.batch_speakers if self.negatives == "gather" else self.batch_speakers // workers

    def notes(self, workers: int) -> list[str]:
        """Values that are set and make no difference beside the others, on so many workers."""
        found = []
        if self.loss in MIXUPS and self.beta_alpha == 0:
            found.append(
                'beta_alpha = 0 mixes nothing: what is trained is loss = "ap", whatever mixup_level, volume and partner'
            )
        if self.negatives == "local" and workers == 1:
            found.append('negatives = "local" is "gather" with one worker')
        return found

    def problems(self) -> list[Problem]:
        """What is wrong between knobs that are each fine alone; a place is the knob to change."""
        found = []
        if 0 < self.train_utterances < self.batch_utterances:
            found.append(
                Problem(
                    "train_utterances",
                    "`train_utterances >= batch_utterances` (or 0, all) must hold, but got "
                    f"train_utterances={self.train_utterances}, batch_utterances={self.batch_utterances}",
                    self.train_utterances,
                )
            )
        return found
