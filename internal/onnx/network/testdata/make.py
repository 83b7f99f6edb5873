"""Makes the fixtures: tiny networks as torchvision, timm and Keras build them, exported to ONNX, and what
ONNX Runtime computes of them. Made with torch 2.15, torchvision 0.29, timm 1.0.31, keras 3.15 (torch), onnxruntime 1.32.

    KERAS_BACKEND=torch python make.py [NAME …]

With names, of the networks of PyTorch whose names are in `later`, it makes these alone.
"""
import json, os, sys, warnings
warnings.simplefilter("ignore")
import numpy as np, onnx, onnxruntime, torch, torchvision, timm
from torch import nn

here = os.path.dirname(os.path.abspath(__file__))
torch.manual_seed(1)
torch.set_num_threads(1)


def picture(size):
    """the same formula stands in the test"""
    i = np.arange(3 * size * size, dtype=np.float64)
    return np.sin(i * 0.37).astype(np.float32).reshape(1, 3, size, size)


def drawn(m):
    """batch-norms that change something"""
    for x in m.modules():
        if isinstance(x, nn.BatchNorm2d):
            nn.init.uniform_(x.running_mean, -0.2, 0.2)
            nn.init.uniform_(x.running_var, 0.5, 1.5)
            nn.init.uniform_(x.weight, 0.5, 1.5)
            nn.init.uniform_(x.bias, -0.2, 0.2)
    return m.eval()


class BasicNet(torchvision.models.ResNet):
    def __init__(self):
        nn.Module.__init__(self)
        self._norm_layer, self.inplanes, self.dilation, self.groups, self.base_width = nn.BatchNorm2d, 8, 1, 1, 64
        block = torchvision.models.resnet.BasicBlock
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(8), nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1, self.layer2 = self._make_layer(block, 8, 1), self._make_layer(block, 12, 1, stride=2)
        self.layer3 = self.layer4 = nn.Identity()
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(12, 5)


def mobilenet_v2():
    from torchvision.models.mobilenetv2 import InvertedResidual
    return nn.Sequential(
        torchvision.ops.Conv2dNormActivation(3, 8, stride=2, activation_layer=nn.ReLU6),
        InvertedResidual(8, 8, 1, 2), InvertedResidual(8, 12, 2, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(12, 5), nn.Softmax(1))


def mobilenet_v3():
    from torchvision.models.mobilenetv3 import InvertedResidual, InvertedResidualConfig
    block = lambda i, e, o, se, act, s: InvertedResidual(InvertedResidualConfig(i, 3, e, o, se, act, s, 1, 1.0), nn.BatchNorm2d)
    return nn.Sequential(
        torchvision.ops.Conv2dNormActivation(3, 8, stride=2, activation_layer=nn.Hardswish),
        block(8, 16, 8, True, "RE", 1), block(8, 16, 8, True, "HS", 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 16), nn.Hardswish(), nn.Linear(16, 5))


def timm_efficientnet():
    from timm.models._efficientnet_blocks import InvertedResidual, SqueezeExcite
    se = lambda c, **_: SqueezeExcite(c, rd_channels=4, act_layer=nn.SiLU)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.SiLU(),
        InvertedResidual(8, 8, 3, exp_ratio=2, act_layer=nn.SiLU, se_layer=se), InvertedResidual(8, 12, 5, stride=2, exp_ratio=2, act_layer=nn.SiLU, se_layer=se, pad_type="same"),
        timm.layers.SelectAdaptivePool2d(pool_type="avg", flatten=True), nn.Linear(12, 5))


def vgg():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 10), nn.ReLU(), nn.Dropout(), nn.Linear(10, 5))


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.bn, self.b, self.fc = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 3, padding=1), nn.Linear(12, 5)

    def forward(self, x):
        x = self.a(x)
        x = torch.cat([x, self.b(torch.relu(self.bn(x)))], 1)
        x = nn.functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return self.fc(torch.relu(x).mean((2, 3)))


def keras_network():
    import keras
    from keras import layers
    keras.utils.set_random_seed(1)
    x = image = layers.Input((16, 16, 3))
    x = layers.Rescaling(1 / 2.0, offset=0.1)(x)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.Conv2D(8, 3, strides=2, use_bias=False)(x)
    x = layers.BatchNormalization(moving_mean_initializer=keras.initializers.RandomUniform(-0.2, 0.2), gamma_initializer=keras.initializers.RandomUniform(0.5, 1.5))(x)
    x = layers.ReLU(6.0)(x)
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    y = layers.Activation("swish")(y)
    s = layers.GlobalAveragePooling2D()(y)
    s = layers.Reshape((1, 1, 8))(s)
    s = layers.Conv2D(4, 1, activation="swish")(s)
    s = layers.Conv2D(8, 1, activation="sigmoid")(s)
    y = layers.Multiply()([y, s])
    x = layers.Add()([x, y])
    x = layers.MaxPooling2D()(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(5, activation="softmax")(x)
    return keras.Model(image, x)


def convnext():
    from torchvision.models.convnext import CNBlock, LayerNorm2d
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), LayerNorm2d(8, eps=1e-6), CNBlock(8, 0.5, 0.0), nn.AdaptiveAvgPool2d(1), LayerNorm2d(8, eps=1e-6), nn.Flatten(), nn.Linear(8, 5))


def squeezenet():  # the classifier is a convolution of the map, as torchvision's
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2), nn.ReLU(), torchvision.models.squeezenet.Fire(6, 4, 4, 4),
        nn.Dropout(), nn.Conv2d(8, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def dla():  # the classifier is a convolution of the pooled map, as timm's
    return nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(6, 5, 1), nn.Flatten())


later = {"convnext": convnext, "squeezenet": squeezenet, "dla": dla}
networks = {
    "resnet": BasicNet, "mobilenet_v2": mobilenet_v2, "mobilenet_v3": mobilenet_v3, "efficientnet": timm_efficientnet,
    "vgg": vgg, "densenet": Dense,
}
expected = {}
size = 16


def run(name, x):
    session = onnxruntime.InferenceSession(os.path.join(here, name + ".onnx"), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x})
    expected[name] = [float(v) for v in y.reshape(-1)]


def later_networks(names):
    for name in names:
        torch.manual_seed(1)
        torch.onnx.export(drawn(later[name]()), (torch.zeros(1, 3, size, size),), os.path.join(here, name + ".onnx"), dynamo=False, opset_version=17, dynamic_axes={"input": {0: "n"}}, input_names=["input"])
        run(name, picture(size))


if sys.argv[1:]:
    expected = json.load(open(os.path.join(here, "expected.json")))
    later_networks(sys.argv[1:])
    json.dump(expected, open(os.path.join(here, "expected.json"), "w"), indent=0)
    sys.exit()
for name, make in networks.items():
    m = drawn(make())
    for suffix, dynamo, opset in (("", False, 17), ("_dynamo", True, 18)):
        if dynamo and name not in ("efficientnet", "mobilenet_v3", "densenet"):
            continue
        torch.onnx.export(m, (torch.zeros(1, 3, size, size),), os.path.join(here, name + suffix + ".onnx"), dynamo=dynamo, opset_version=opset,
                          **({"external_data": False, "verbose": False} if dynamo else {"dynamic_axes": {"input": {0: "n"}}, "input_names": ["input"]}))
        if dynamo:  # leave out where in the source each node is from
            g = onnx.load(os.path.join(here, name + suffix + ".onnx"))
            for n in g.graph.node:
                n.ClearField("metadata_props")
            g.graph.ClearField("value_info")
            onnx.save(g, os.path.join(here, name + suffix + ".onnx"))
        run(name + suffix, picture(size))
os.environ.setdefault("KERAS_BACKEND", "torch")
m = keras_network()
m(picture(size).transpose(0, 2, 3, 1))
m.export(os.path.join(here, "keras.onnx"), format="onnx", verbose=False)
g = onnx.load(os.path.join(here, "keras.onnx"))
for n in g.graph.node:
    n.ClearField("metadata_props")
g.graph.ClearField("value_info")
onnx.save(g, os.path.join(here, "keras.onnx"))
run("keras", picture(size).transpose(0, 2, 3, 1).copy())
later_networks(later)
json.dump(expected, open(os.path.join(here, "expected.json"), "w"), indent=0)
