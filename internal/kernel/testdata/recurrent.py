"""Writes recurrent.json: outputs and gradients of torch.nn.LSTM and GRU on two sequences of 5 and 3 tokens."""
import json, torch
torch.manual_seed(0)
torch.set_num_threads(1)
out = []
for name in "LSTM", "GRU":
    for last in False, True:
        m = getattr(torch.nn, name)(3, 4, batch_first=True, bidirectional=True)
        x = torch.randn(2, 5, 3, requires_grad=True)
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, [5, 3], batch_first=True)
        y, h = m(packed)
        y = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)[0]
        if last:
            h = h[0] if name == "LSTM" else h
            y = torch.cat([h[0], h[1]], 1)
        d = torch.randn_like(y)
        if not last:
            d[1, 3:] = 0
        (y * d).sum().backward()
        f = lambda t: [round(v, 7) for v in t.detach().flatten().tolist()]
        directions = []
        for end in "", "_reverse":
            p = lambda kind: getattr(m, f"{kind}_l0{end}")
            directions.append({k: f(p(k)) for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")} | {"d_" + k: f(p(k).grad) for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")})
        out.append({"cell": name.lower(), "last": last, "x": f(x), "y": f(y), "dy": f(d), "dx": f(x.grad), "directions": directions})
json.dump(out, open("recurrent.json", "w"), separators=(",", ":"))
