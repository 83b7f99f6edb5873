"""Writes tiny text towers of CLIP and SigLIP, as transformers and OpenCLIP store them, and what transformers' models give for texts of
several lengths, in float64.

Weights are made by a formula and rounded to float16, in which they are stored; those of the picture towers are left out. open_clip has the
weights of clip under OpenAI's names. Run in this folder: python make_towers.py
"""
import json
import pathlib
import shutil

import safetensors.torch
import torch
import transformers

sizes = dict(vocab_size=40, max_position_embeddings=12, num_hidden_layers=2)
clip = dict(**sizes, hidden_size=16, intermediate_size=24, num_attention_heads=4, hidden_act="quick_gelu", bos_token_id=0, pad_token_id=1)
siglip = dict(**sizes, hidden_size=12, intermediate_size=20, num_attention_heads=3, hidden_act="gelu_pytorch_tanh", pad_token_id=1)
vision = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=8, patch_size=4)
models = {
    "clip": transformers.CLIPModel(transformers.CLIPConfig(text_config=clip | {"eos_token_id": 38}, vision_config=vision, projection_dim=10)),
    "clip_text": transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(**clip | {"hidden_size": 8, "num_attention_heads": 1, "hidden_act": "gelu"}, eos_token_id=2, projection_dim=6)),
    "siglip": transformers.SiglipModel(transformers.SiglipConfig(text_config=siglip, vision_config=vision)),
}


def fill(model):
    for k, (name, p) in enumerate(sorted(model.named_parameters())):
        if p.ndim == 0:
            continue
        i = torch.arange(p.numel(), dtype=torch.float64)
        x = torch.sin(i * 0.7 + k) * (0.9 if p.ndim > 1 else 0.3) / max(p.shape[-1], 1) ** (0.5 if p.ndim > 1 else 0)
        if p.ndim == 1 and ("norm.weight" in name or "norm1.weight" in name or "norm2.weight" in name):
            x = 1 + x
        with torch.no_grad():
            p.copy_(x.reshape(p.shape).half().float())


def texts(name):
    if name == "siglip":
        return [[7, 11, 5, 1], [39, 38, 6, 14, 14, 9, 21, 30, 4, 3, 1], [1], [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 1]]
    end = 38 if name == "clip" else 39  # the greatest id where the configuration names token 2
    return [[0, 7, 11, end], [0, 37, 36, 6, 14, 14, 9, 21, 30, 4, 3, end], [0, end], [0, 8, end, 9, 10, 11, end]]


def pooled(name, ids, x):
    if name == "siglip":
        return x[-1]
    return x[ids.index(38 if name == "clip" else 39)]


for name, model in models.items():
    fill(model)
    folder = pathlib.Path(name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tensors = {k: v.half().contiguous() for k, v in model.state_dict().items() if "vision" not in k and "visual" not in k and "logit" not in k and "position_ids" not in k}
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    config = json.loads(model.config.to_json_string(use_diff=True))
    config.pop("vision_config", None)
    (folder / "config.json").write_text(json.dumps(config))
    model = model.double().eval()
    layers = {}
    for ids in texts(name):
        x = torch.tensor([ids + [1] * (12 - len(ids)) if name == "siglip" else ids])
        with torch.no_grad():
            text_model = getattr(model, "text_model", model)
            states = text_model(input_ids=x, output_hidden_states=True).hidden_states
            if name == "clip_text":
                vector = model(input_ids=x).text_embeds
            else:
                vector = model.get_text_features(input_ids=x)
                vector = getattr(vector, "pooler_output", vector)
        for i, state in enumerate(states):
            layers.setdefault(["embeddings", "block0", "block1"][i], []).append([round(v, 8) for v in pooled(name, ids, state[0]).tolist()])
        layers.setdefault("pooled", []).append([round(v, 8) for v in vector[0].tolist()])
    expected = json.dumps({"texts": texts(name), "layers": layers})
    (folder / "expected.json").write_text(expected)
    if name != "clip":
        continue
    other = pathlib.Path("open_clip")
    shutil.rmtree(other, ignore_errors=True)
    other.mkdir()
    (other / "expected.json").write_text(expected)
    text = {"context_length": 12, "vocab_size": 40, "width": 16, "heads": 4, "layers": 2, "mlp_ratio": 1.5}
    (other / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"embed_dim": 10, "quick_gelu": True, "text_cfg": text}}))
    own = {"token_embedding.weight": tensors["text_model.embeddings.token_embedding.weight"], "positional_embedding": tensors["text_model.embeddings.position_embedding.weight"],
           "text_projection": tensors["text_projection.weight"].T.contiguous()}
    for part in "weight", "bias":
        own[f"ln_final.{part}"] = tensors[f"text_model.final_layer_norm.{part}"]
        for i in range(2):
            a, b = f"text_model.encoder.layers.{i}.", f"transformer.resblocks.{i}."
            own[f"{b}attn.in_proj_{part}"] = torch.cat([tensors[f"{a}self_attn.{p}_proj.{part}"] for p in "qkv"])
            for x, y in {"self_attn.out_proj": "attn.out_proj", "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}.items():
                own[f"{b}{y}.{part}"] = tensors[f"{a}{x}.{part}"]
    safetensors.torch.save_file(own, other / "open_clip_model.safetensors")
