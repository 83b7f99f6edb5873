"""Makes keras_order.json: for each network of keras.applications the SHA-256 of the names of its layers that
have weights, in the order of model.layers, a line each. The layer that normalises pixels is left out.

    KERAS_BACKEND=jax python3 make_keras_order.py

Needs Keras 3 (made with 3.15).
"""

import hashlib
import json
import pathlib

import keras

NETWORKS = {
    "densenet121": "DenseNet121", "efficientnet_b0": "EfficientNetB0", "inception_resnet_v2": "InceptionResNetV2",
    "inception_v3": "InceptionV3", "mobilenet_v2": "MobileNetV2", "nasnet_mobile": "NASNetMobile",
    "resnet101": "ResNet101", "resnet152": "ResNet152", "resnet50": "ResNet50", "vgg16": "VGG16", "vgg19": "VGG19",
}

out = {}
for name, model_name in NETWORKS.items():
    keras.backend.clear_session()
    model = getattr(keras.applications, model_name)(weights=None)
    names = [layer.name for layer in model.layers if layer.weights and layer.name != "normalization"]
    out[name] = hashlib.sha256("".join(n + "\n" for n in names).encode()).hexdigest()
(pathlib.Path(__file__).parent / "keras_order.json").write_text(json.dumps(out, indent=1) + "\n")
