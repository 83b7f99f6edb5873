"""Writes tiny encoders of each family, as transformers does, and what they give for two texts, in float64.

Weights are rounded to float16, in which they are stored. Run in this folder: python make_encoders.py
"""
import json
import pathlib
import shutil

import torch
import transformers

torch.manual_seed(1)
common = dict(vocab_size=40, max_position_embeddings=24, hidden_act="gelu")
families = {
    "bert": transformers.BertModel(transformers.BertConfig(
        **common, hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20), add_pooling_layer=False),
    "roberta": transformers.RobertaForSequenceClassification(transformers.RobertaConfig(
        **{**common, "hidden_act": "gelu_new"}, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, type_vocab_size=1, layer_norm_eps=1e-5)),
    "distilbert": transformers.DistilBertModel(transformers.DistilBertConfig(
        vocab_size=40, max_position_embeddings=24, dim=8, n_layers=3, n_heads=2, hidden_dim=16)),
}
texts = [[2, 7, 11, 5, 3], [2, 39, 38, 6, 14, 14, 9, 21, 30, 4, 3]]
pad = max(map(len, texts))
ids = torch.tensor([t + [1] * (pad - len(t)) for t in texts])
mask = torch.tensor([[1] * len(t) + [0] * (pad - len(t)) for t in texts])
for name, model in families.items():
    for p in model.parameters():
        with torch.no_grad():
            p.copy_((p + 0.2 * torch.randn_like(p)).half().float())
    folder = pathlib.Path(name)
    shutil.rmtree(folder, ignore_errors=True)
    model.eval().half().save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    modes = {"bert": "mean_tokens", "roberta": "cls_token", "distilbert": "max_tokens"}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{m}": m == modes[name] for m in ["cls_token", "mean_tokens", "max_tokens"]}))
    modules = [{"path": "", "type": "sentence_transformers.models.Transformer"}, {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
    if name == "bert":
        modules.append({"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"})
    (folder / "modules.json").write_text(json.dumps(modules))
    inner = getattr(model.double(), "roberta", model)
    with torch.no_grad():
        states = inner(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    expected = {}
    for i, layer in enumerate(["embeddings"] + [f"block{i}" for i in range(len(states) - 1)]):
        x = states[i]
        rows = []
        for row, text in zip(x, texts):
            real = row[:len(text)]
            v = {"bert": real.mean(0), "roberta": real[0], "distilbert": real.max(0).values}[name]
            rows.append((v / v.norm() if name == "bert" else v).tolist())
        expected[layer] = [[round(v, 8) for v in row] for row in rows]
    (folder / "expected.json").write_text(json.dumps({"texts": texts, "layers": expected}))

# The words of BERT's ids, so that texts can be cut.
words = "a the film is good bad nice long short end plot i like hate this that was not very and of time money waste great dull fun".split()
(pathlib.Path("bert") / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + words + list("bcdefghj")) + "\n")
