"""EfficientNet-Lite0 in PyTorch: the reference that the Go network is held against.

Written from the published block table (Tan and Le 2019, arXiv:1905.11946, without squeeze-and-excite
and with ReLU6 for swish; tensorflow/tpu, models/official/efficientnet/lite). Parameter names are those
of the efficientnet_lite_pytorch package, so that its state dict loads.
"""

import torch
from torch import nn
from torch.nn import functional as F

# Repeats, kernel, stride of the first, expansion, output channels.
STAGES = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]
EPSILON = 1e-3

# Pixels 0..255 → what the network was trained on.
MEAN, STD = 127.0, 128.0


class SameConv(nn.Conv2d):
    """A convolution without bias whose output is ceil(input / stride), padded as TensorFlow does:
    what is odd goes to the bottom and the right."""

    def __init__(self, inputs, outputs, kernel, stride=1, groups=1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x):
        pads = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size, self.stride):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads))


def batch_norm(channels):
    return nn.BatchNorm2d(channels, eps=EPSILON, momentum=0.01)


class Block(nn.Module):
    """An inverted bottleneck: expand 1×1, depthwise, project 1×1, and the input added back."""

    def __init__(self, inputs, kernel, stride, expansion, outputs):
        super().__init__()
        middle = inputs * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = SameConv(inputs, middle, 1)
            self._bn0 = batch_norm(middle)
        self._depthwise_conv = SameConv(middle, middle, kernel, stride, groups=middle)
        self._bn1 = batch_norm(middle)
        self._project_conv = SameConv(middle, outputs, 1)
        self._bn2 = batch_norm(outputs)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, inputs):
        x = inputs
        if self.expands:
            x = F.relu6(self._bn0(self._expand_conv(x)))
        x = F.relu6(self._bn1(self._depthwise_conv(x)))
        x = self._bn2(self._project_conv(x))
        return x + inputs if self.adds else x


class EfficientNetLite0(nn.Module):
    def __init__(self):
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, stride=2)
        self._bn0 = batch_norm(32)
        self._blocks = nn.ModuleList()
        channels = 32
        for repeats, kernel, stride, expansion, outputs in STAGES:
            for i in range(repeats):
                self._blocks.append(Block(channels, kernel, stride if i == 0 else 1, expansion, outputs))
                channels = outputs
        self._conv_head = SameConv(channels, 1280, 1)
        self._bn1 = batch_norm(1280)
        self._fc = nn.Linear(1280, 1000)

    def layers(self, x):
        """Yields (name, output) from the stem to the logits. x: [N, 3, H, W], normalised."""
        x = F.relu6(self._bn0(self._conv_stem(x)))
        yield "stem", x
        for i, block in enumerate(self._blocks):
            x = block(x)
            yield f"block{i}", x
        x = F.relu6(self._bn1(self._conv_head(x)))
        yield "head", x
        x = x.mean((2, 3))
        yield "pooled", x
        yield "logits", self._fc(x)

    def forward(self, x):
        return dict(self.layers(x))["logits"]


def load(tensors):
    """The network in inference mode, in float32, from a mapping of names to tensors."""
    net = EfficientNetLite0()
    missing, unexpected = net.load_state_dict({k: v.float() for k, v in tensors.items()}, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"missing {missing}, unexpected {unexpected}")
    return net.eval()
