"""Layers in phistar's notation: `ph.Model`s whose `__call__` takes a tensor and gives a tensor."""

from phistar.nn.adaptive import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
)
from phistar.nn.attention import MultiHeadAttention, scaled_dot_product_attention
from phistar.nn.bidirectional import Bidirectional
from phistar.nn.cells import GRUCell, LSTMCell, RNNCell, UGRNNCell
from phistar.nn.convlstm import ConvLSTM2d
from phistar.nn.convolution import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from phistar.nn.linear import Bilinear, Embedding, Linear
from phistar.nn.normalisation import GroupNorm, LayerNorm, LocalResponseNorm, RMSNorm
from phistar.nn.pooling import (
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    GlobalAvgPool,
    GlobalMaxPool,
    LPPool1d,
    LPPool2d,
    LPPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from phistar.nn.positions import LearnedPositions, SinusoidalPositions, alibi, alibi_slopes, rotary
from phistar.nn.recurrence import GRU, LSTM, RNN, UGRNN
from phistar.nn.resampling import Upsample
from phistar.nn.reshaping import Flatten, PixelShuffle, PixelUnshuffle, Unflatten
from phistar.nn.running import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from phistar.nn.transformer import (
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from phistar.nn.unpooling import MaxUnpool1d, MaxUnpool2d, MaxUnpool3d

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "UGRNN",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Bidirectional",
    "Bilinear",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvLSTM2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "LSTMCell",
    "LayerNorm",
    "LearnedPositions",
    "Linear",
    "LocalResponseNorm",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "MultiHeadAttention",
    "PixelShuffle",
    "PixelUnshuffle",
    "RMSNorm",
    "RNNCell",
    "SinusoidalPositions",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "UGRNNCell",
    "Unflatten",
    "Upsample",
    "alibi",
    "alibi_slopes",
    "rotary",
    "scaled_dot_product_attention",
]
