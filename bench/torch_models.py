"""The PyTorch twins of bench/models/{resnet18,transformer}.json: build(name) gives the network, SHAPES the inputs."""
import torch
import torch.nn.functional as F
from torch import nn

SHAPES = {"resnet18": (3, 32, 32), "transformer": (128, 256)}  # of one example, f32
BATCH = {"resnet18": 32, "transformer": 64}


class BasicBlock(nn.Module):
    def __init__(self, inputs, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


class ResNet18(nn.Module):
    """torchvision's names; the stem is 3x3 with stride 1, without pooling. `widths` are 64, 128, 256, 512."""

    def __init__(self, widths=(64, 128, 256, 512), classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        before = widths[0]
        for i, width in enumerate(widths):
            layer = nn.Sequential(BasicBlock(before, width, 1 if i == 0 else 2), BasicBlock(width, width, 1))
            setattr(self, "layer%d" % (i + 1), layer)
            before = width
        self.fc = nn.Linear(before, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
        return self.fc(x.mean((2, 3)))


class Transformer(nn.Module):
    """One pre-norm block, mean over the sequence, linear head. The three input projections are one product, as PyTorch
    does it best: qkv.weight is query's, key's and value's weight of the model file, one below the other."""

    def __init__(self, width=256, heads=4, hidden=1024, classes=10):
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.head = nn.Linear(width, classes)

    def attention(self, x):
        n, length, width = x.shape
        q, k, v = self.qkv(x).view(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        if hasattr(F, "scaled_dot_product_attention"):
            mixed = F.scaled_dot_product_attention(q, k, v)
        else:  # PyTorch 1
            mixed = torch.softmax(q @ k.transpose(-2, -1) * (width // self.heads) ** -0.5, -1) @ v
        return self.projection(mixed.transpose(1, 2).reshape(n, length, width))

    def forward(self, x):
        x = x + self.attention(self.ln1(x))
        x = x + self.fc2(F.gelu(self.fc1(self.ln2(x))))
        return self.head(x.mean(1))


def build(name):
    return {"resnet18": ResNet18, "transformer": Transformer}[name]()
