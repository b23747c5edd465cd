"""The speaker verifier of `contrastive_mixup` as one module: a worker's crops in, the loss of the whole batch out.

Only queries are mixed, with the query of another speaker; prototypes stay what they are. One pass of the net sees
both, and embeddings are gathered from all workers, so that the negatives are those of the whole batch. With
`negatives="local"`, as the paper's baseline code has it, a worker's queries know the prototypes of that worker alone,
its batch norm knows its crops alone, and the loss is the mean of the workers' losses.

Front end, mixing, pooling, embedding and loss are float32 under bf16 too.

Letters: S speakers of this worker, G speakers that are told apart (of all workers, or of this one), U utterances, B
batch, D embedding, F mel bins, T samples or frames.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from search_spaces.contrastive_mixup import MIXUPS
from trainables.distributed import all_sum, gather_rows, world
from trainables.features import LogMel, instance_normalise
from trainables.losses import angular_prototypical_loss, ce_mixup_loss, contrastive_mixup_loss
from trainables.mixup import mix_features, mix_waveforms, mixable
from trainables.nets.resnet import FastResNet34

FULL_SCALE = 32768.0
FIRST_SCALE, FIRST_BIAS = 10.0, -5.0  # w and b of equation 2


@dataclass(frozen=True)
class Crops:
    """One worker's share of a batch on its device, the samples of 16 bits with full scale 32768.

    They are int16 as they were read, so that the copy to a GPU is half of float32's, and floats of the same scale where
    they were augmented. partners_ST: the queries to mix in, None without mixing; partner_G: the partner of every
    speaker that is told apart, as a place among them.
    """

    utterances_SUT: Tensor
    partners_ST: Tensor | None
    partner_G: Tensor
    ratio: float


class Verifier(nn.Module):
    """Front end, Fast ResNet34 and loss: crops in, the global loss out."""

    def __init__(
        self,
        *,
        loss: str,
        mixup_level: str,
        volume: str,
        mels: int,
        width: int,
        embedding_size: int,
        precision: str,
        pooling: str,
        negatives: str,
    ) -> None:
        super().__init__()
        self.loss = loss
        self.mixup_level = mixup_level
        self.volume = volume
        self.precision = precision
        self.is_gathered = negatives == "gather"
        self.log_mel = LogMel(mels)
        self.net = FastResNet34(
            mels=mels, embedding_size=embedding_size, width=width, pooling=pooling, gathered=self.is_gathered
        )
        self.scale = nn.Parameter(torch.tensor(FIRST_SCALE))
        self.bias = nn.Parameter(torch.tensor(FIRST_BIAS))

    def forward(self, crops: Crops) -> Tensor:
        """The loss of the whole batch, the same scalar on every worker."""
        num_speakers, num_utterances, num_samples = crops.utterances_SUT.shape
        with torch.no_grad():
            waveforms_SUT = self._waveforms(crops.utterances_SUT)
            prototypes_BT = waveforms_SUT[:, :-1].reshape(-1, num_samples)
            queries_SFT, is_mixed_S = self._query_features(waveforms_SUT[:, -1], crops)
            features_BFT = instance_normalise(torch.cat([self.log_mel(prototypes_BT), queries_SFT]))
        embeddings_BD = self._embed_features(features_BFT)
        split = len(prototypes_BT)
        own_SUD = torch.cat(
            [
                embeddings_BD[:split].view(num_speakers, num_utterances - 1, -1),
                embeddings_BD[split:].unsqueeze(1),
            ],
            dim=1,
        )
        loss = self._loss(self._compared(own_SUD), crops, is_mixed_S)
        # The gradient of a sum is summed over the workers: that of each one's own loss is 1, and DDP takes the mean.
        return loss if self.is_gathered else all_sum(loss) / world()[1]

    def embed(self, waveforms_BT: Tensor) -> Tensor:
        """Crops (B, T) of 16-bit samples to embeddings (B, D)."""
        return self._embed_features(instance_normalise(self.log_mel(self._waveforms(waveforms_BT))))

    def _waveforms(self, samples: Tensor) -> Tensor:
        return samples.to(self.scale.dtype) / FULL_SCALE

    def _query_features(self, queries_ST: Tensor, crops: Crops) -> tuple[Tensor, Tensor]:
        """Log-mel features of the (mixed) queries, and which of them can be mixed: silence can not."""
        if crops.partners_ST is None:
            return self.log_mel(queries_ST), queries_ST.new_zeros(len(queries_ST), dtype=torch.bool)
        partners_ST = self._waveforms(crops.partners_ST)
        is_mixed_S = mixable(waveforms_ST=queries_ST, partners_ST=partners_ST)
        if self.mixup_level == "waveform":
            mixed_ST = mix_waveforms(
                waveforms_ST=queries_ST, partners_ST=partners_ST, ratio=crops.ratio, volume=self.volume
            )
            return self.log_mel(mixed_ST), is_mixed_S
        own_SFT, partners_SFT = self.log_mel(queries_ST), self.log_mel(partners_ST)
        mixed_SFT = mix_features(features_SFT=own_SFT, partners_SFT=partners_SFT, ratio=crops.ratio)
        return torch.where(is_mixed_S[:, None, None], mixed_SFT, own_SFT), is_mixed_S

    def _embed_features(self, features_BFT: Tensor) -> Tensor:
        with torch.autocast(features_BFT.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"):
            embeddings_BD: Tensor = self.net(features_BFT)
        return embeddings_BD.to(self.scale.dtype)

    def _compared(self, rows: Tensor) -> Tensor:
        """The rows of all speakers that are told apart, from this worker's: (S, ...) to (G, ...)."""
        return gather_rows(rows) if self.is_gathered else rows

    def _loss(self, embeddings_GUD: Tensor, crops: Crops, is_mixed_S: Tensor) -> Tensor:
        if self.loss not in MIXUPS:
            return angular_prototypical_loss(embeddings_SUD=embeddings_GUD, scale=self.scale, bias=self.bias)
        mixup_loss = contrastive_mixup_loss if self.loss == "contrastive_mixup" else ce_mixup_loss
        # A query that was not mixed is its own partner: its label is its own speaker alone.
        own_G = torch.arange(len(crops.partner_G), device=crops.partner_G.device)
        partner_G = torch.where(self._compared(is_mixed_S.to(torch.uint8)) > 0, crops.partner_G, own_G)
        return mixup_loss(
            queries_SD=embeddings_GUD[:, -1],
            prototypes_SD=embeddings_GUD[:, :-1].mean(dim=1),
            partner_S=partner_G,
            ratio=crops.ratio,
            scale=self.scale,
            bias=self.bias,
        )
