"""Sound event detection: which classes a clip holds, and in which of its frames, learned from labels of whole clips.

The head is the decision-level attention of Kong et al. 2020 (PANNs, arXiv:1912.10211, section III-D): every frame has a
score for every class, and the clip's answer is their mean, weighted by what the head pays attention to.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from outfold.errors import RecipeError


class SedLogits(NamedTuple):
    """What a SED head says of clips; all float32 at least.

    Attributes:
        clip: (b, k), the logit of the clip's probability, which is the frames' mean weighted by attention.
        frames: (b, t, k), the logit of each class in each frame.
        attention: (b, t, k), weights of the frames; of a clip and a class they sum to 1.
    """

    clip: Tensor
    frames: Tensor
    attention: Tensor

    def joined(self) -> Tensor:
        """(b, 1 + t, k): the logits of a clip before those of its frames, for a loss of both."""
        return torch.cat([self.clip[:, None], self.frames], dim=1)


class SedHead(nn.Module):
    """Attention over time: dropout, a hidden layer with ReLU, dropout, then scores and attention of every frame.

    Args:
        features: length c of a frame's features.
        outputs: number k of logits.
        dropout: share of features that rest in training, before the hidden layer and after it.
        learns_frames: in training, give the logits of frames too.
    """

    def __init__(self, features: int, outputs: int, dropout: float = 0.0, *, learns_frames: bool = False) -> None:
        super().__init__()
        self.dropout = dropout
        self.learns_frames = learns_frames
        self.hidden = nn.Linear(features, features)
        self.attention = nn.Linear(features, outputs)
        self.score = nn.Linear(features, outputs)

    def forward(self, frames: Tensor) -> Tensor:
        """Features of frames (b, t, c) -> logits of clips (b, k), or in training `joined` ones (b, 1 + t, k)."""
        logits = self.clip_and_frames(frames)
        return logits.joined() if self.training and self.learns_frames else logits.clip

    def clip_and_frames(self, frames: Tensor) -> SedLogits:
        """Features of frames (b, t, c) -> logits of clips and of their frames."""
        frames = F.dropout(frames, self.dropout, self.training)
        hidden = F.dropout(F.relu(self.hidden(frames)), self.dropout, self.training)
        return attended(self.score(hidden), self.attention(hidden))


def attended(scores: Tensor, attention: Tensor) -> SedLogits:
    """Logits of frames and unbounded attention -> those of clips, whose probability is p = sum_t a_t sigmoid(z_t).

    The weights a are softmax(tanh(attention)) over time. The logit of p is log p - log(1 - p); as the weights sum to 1,
    1 - p is sum_t a_t sigmoid(-z_t), and both logarithms are taken without leaving log space: a clip of which all
    frames are sure has a finite logit and a gradient.

    Args:
        scores: (b, t, k).
        attention: (b, t, k).
    """
    scores, log_weight = _full(scores), F.log_softmax(torch.tanh(_full(attention)), dim=1)
    present = torch.logsumexp(log_weight + F.logsigmoid(scores), dim=1)
    absent = torch.logsumexp(log_weight + F.logsigmoid(-scores), dim=1)
    return SedLogits(present - absent, scores, log_weight.exp())


def frames_of(maps: Tensor) -> Tensor:
    """Features of a picture of sound, before pooling, as features of its frames.

    The mean over frequency, then the sum of the largest and the mean over three frames that follow each other, which
    smooths them; at both ends of the clip the mean counts a frame of zeros, as in PANNs.

    Args:
        maps: (b, c, f, t), frequency as height and time as width.

    Returns:
        (b, t, c).

    Raises:
        RecipeError: these are no maps, as of a backbone that works on tokens.
    """
    require_maps(maps)
    frames = maps.mean(dim=2)
    largest = F.max_pool1d(frames, kernel_size=3, stride=1, padding=1)
    mean = F.avg_pool1d(frames, kernel_size=3, stride=1, padding=1)
    return (largest + mean).transpose(1, 2)


def require_maps(features: Tensor) -> None:
    """Refuse features that do not lie in a plane of frequency and time.

    Raises:
        RecipeError: they have another number of dimensions than (b, c, f, t).
    """
    if features.ndim != 4:
        raise RecipeError(
            "the backbone makes no map of features over height and width, which `head.name: sed` reads",
            got=f"features of shape {' x '.join(map(str, features.shape))}",
            expected="b x channels x height x width, as convolutional backbones make",
            fix="choose a convolutional backbone, or another head",
        )


def _full(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
