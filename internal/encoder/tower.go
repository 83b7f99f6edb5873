package encoder

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// The families of text towers: networks whose vectors lie beside those of pictures. Their norms stand before attention and
// feed-forward network, and another one behind the last block.
const (
	familyCLIP     = "clip"      // of transformers (Radford et al. 2021, arXiv:2103.00020)
	familySigLIP   = "siglip"    // of transformers (Zhai et al. 2023, arXiv:2303.15343)
	familyOpenCLIP = "open_clip" // of OpenAI's own files and OpenCLIP's
)

// Tower is what text towers have besides the sizes of other encoders; its zero value is that of an encoder that is none.
type Tower struct {
	Causal     bool  `json:"causal,omitempty"`     // a token sees those up to itself
	Projection int   `json:"projection,omitempty"` // width of a text's vector; 0: that of a token's
	Bias       bool  `json:"bias,omitempty"`       // of the projection
	End        int32 `json:"end,omitempty"`        // the token at which a text ends; 0: the greatest id, as in configurations that are older than the rule
	Padded     bool  `json:"padded,omitempty"`     // texts are computed with padding, as they were in training
	Padding    int32 `json:"padding,omitempty"`
}

// tower tells whether the encoder is a text tower.
func (s Sizes) tower() bool {
	return s.Family == familyCLIP || s.Family == familySigLIP || s.Family == familyOpenCLIP
}

// towerConfiguration is what config.json says of the text tower of CLIP or SigLIP: by itself or within text_config. What is left out has
// the value that transformers has for it.
type towerConfiguration struct {
	Type           string   `json:"model_type"`
	Architectures  []string `json:"architectures"`
	VocabSize      int      `json:"vocab_size"`
	Positions      int      `json:"max_position_embeddings"`
	Hidden         int      `json:"hidden_size"`
	Layers         int      `json:"num_hidden_layers"`
	Heads          int      `json:"num_attention_heads"`
	Intermediate   int      `json:"intermediate_size"`
	Act            string   `json:"hidden_act"`
	Epsilon        float32  `json:"layer_norm_eps"`
	End            int32    `json:"eos_token_id"`
	Padding        int32    `json:"pad_token_id"`
	ProjectionDim  int      `json:"projection_dim"`
	ProjectionSize int      `json:"projection_size"`
}

// towerSizes reads the sizes of a tower of transformers from the text of a config.json.
func towerSizes(text []byte) (s Sizes, err error) {
	var whole struct {
		Type          string          `json:"model_type"`
		ProjectionDim int             `json:"projection_dim"`
		Text          json.RawMessage `json:"text_config"`
	}
	if err := json.Unmarshal(text, &whole); err != nil {
		return s, err
	}
	c := towerConfiguration{
		VocabSize: 49408, Positions: 77, Hidden: 512, Layers: 12, Heads: 8, Intermediate: 2048, Act: "quick_gelu", Epsilon: 1e-5, End: 49407, Padding: 1, ProjectionDim: 512,
	}
	siglip := strings.HasPrefix(whole.Type, familySigLIP)
	if siglip {
		c = towerConfiguration{VocabSize: 32000, Positions: 64, Hidden: 768, Layers: 12, Heads: 12, Intermediate: 3072, Act: "gelu_pytorch_tanh", Epsilon: 1e-6, Padding: 1}
	}
	of := text
	if len(whole.Text) > 0 && string(whole.Text) != "null" {
		of = whole.Text
	}
	if err := json.Unmarshal(of, &c); err != nil {
		return s, err
	}
	s = Sizes{
		Family: familyCLIP, Words: c.VocabSize, Width: c.Hidden, Blocks: c.Layers, Heads: c.Heads, Wide: c.Intermediate,
		Places: c.Positions, Epsilon: c.Epsilon,
	}
	switch {
	case siglip:
		s.Family = familySigLIP
		s.Tower = Tower{Projection: c.Hidden, Bias: true, Padded: true, Padding: c.Padding}
		if c.ProjectionSize > 0 {
			s.Projection = c.ProjectionSize
		}
	default:
		s.Tower = Tower{Causal: true, Projection: c.ProjectionDim, End: c.End}
		if c.End == 2 {
			s.End = 0
		}
		if whole.Type == "clip" && whole.ProjectionDim > 0 {
			s.Projection = whole.ProjectionDim
		}
		if slices.Contains(c.Architectures, "CLIPTextModel") { // without a projection
			s.Projection = 0
		}
	}
	s.Activation, err = activation(c.Act)
	return s, err
}

// openCLIPSizes reads open_clip_config.json. The error is fs.ErrNotExist if there is none.
func openCLIPSizes(folder string) (s Sizes, err error) {
	const name = "open_clip_config.json"
	var c struct {
		Model struct {
			EmbedDim  int  `json:"embed_dim"`
			QuickGELU bool `json:"quick_gelu"`
			Text      struct {
				Context    int     `json:"context_length"`
				VocabSize  int     `json:"vocab_size"`
				Width      int     `json:"width"`
				Heads      int     `json:"heads"`
				Layers     int     `json:"layers"`
				Ratio      float64 `json:"mlp_ratio"`
				HFModel    string  `json:"hf_model_name"`
				NoCausal   bool    `json:"no_causal_mask"`
				ProjBias   bool    `json:"proj_bias"`
				Pool       string  `json:"pool_type"`
				Padding    int32   `json:"pad_id"`
				EmbedClass bool    `json:"embed_cls"`
				Act        struct {
					Approximate string `json:"approximate"`
				} `json:"act_kwargs"`
				Norm struct {
					Epsilon float32 `json:"eps"`
				} `json:"norm_kwargs"`
			} `json:"text_cfg"`
		} `json:"model_cfg"`
	}
	text := &c.Model.Text
	text.Context, text.VocabSize, text.Width, text.Heads, text.Layers, text.Ratio, text.Pool, text.Norm.Epsilon = 77, 49408, 512, 8, 12, 4, "argmax", 1e-5
	if err := readJSON(folder, name, &c); err != nil {
		return s, err
	}
	s = Sizes{
		Family: familyOpenCLIP, Words: text.VocabSize, Width: text.Width, Blocks: text.Layers, Heads: text.Heads, Wide: int(float64(text.Width) * text.Ratio),
		Places: text.Context, Epsilon: text.Norm.Epsilon, Activation: kernel.GELU,
		Tower: Tower{Causal: !text.NoCausal, Projection: c.Model.EmbedDim, Bias: text.ProjBias, Padding: text.Padding},
	}
	switch {
	case c.Model.QuickGELU:
		s.Activation = kernel.QuickGELU
	case text.Act.Approximate == "tanh":
		s.Activation = kernel.GELUTanh
	}
	switch {
	case text.HFModel != "":
		err = fmt.Errorf("the text tower is %s of transformers within OpenCLIP, which is not supported", text.HFModel)
	case text.EmbedClass:
		err = errors.New("embed_cls is not supported")
	case text.Pool == "last":
		s.Padded = true
	case text.Pool != "argmax" || text.NoCausal:
		err = fmt.Errorf("pool_type %q with no_causal_mask %v is not supported: argmax with a causal mask and last are", text.Pool, text.NoCausal)
	}
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return s, fmt.Errorf("%s: %w", filepath.Join(folder, name), err)
	}
	return s, nil
}

// towerBlock has its norms before attention and feed-forward network.
func (s Sizes) towerBlock(b *nn.Builder, scope string, x nn.Value) nn.Value {
	dense := func(name string, out int, x nn.Value) nn.Value {
		return b.Layer(scope+"."+name, nn.Dense{Out: out, Bias: true}, x)
	}
	y := b.Layer(scope+".attention.norm", nn.LayerNorm{Epsilon: s.Epsilon}, x)
	y = b.Layer(scope+".attention.heads", nn.Attention{Heads: s.Heads, Causal: s.Causal},
		dense("attention.query", s.Width, y), dense("attention.key", s.Width, y), dense("attention.value", s.Width, y))
	x = b.Layer(scope+".attention.sum", nn.Add{}, dense("attention.out", s.Width, y), x)
	y = b.Layer(scope+".feed_forward.norm", nn.LayerNorm{Epsilon: s.Epsilon}, x)
	y = b.Layer(scope+".feed_forward.activation", nn.Activation{Function: s.Activation}, dense("feed_forward.wide", s.Wide, y))
	return b.Layer(scope+".feed_forward.sum", nn.Add{}, dense("feed_forward.narrow", s.Width, y), x)
}

// sequence is the tokens of a text that the network takes: of a tower up to the first token that ends the text, or with padding.
func (s Sizes) sequence(ids []int32) []int32 {
	switch {
	case s.Padded:
		padded := slices.Grow(slices.Clone(ids), s.Places-len(ids))
		for len(padded) < s.Places {
			padded = append(padded, s.Padding)
		}
		return padded
	case s.tower() && s.Causal:
		if at := slices.Index(ids, s.end(ids)); at >= 0 {
			return ids[:at+1]
		}
	}
	return ids
}

// end is the token that ends a text of these tokens.
func (s Sizes) end(ids []int32) int32 {
	if s.End == 0 && len(ids) > 0 {
		return slices.Max(ids)
	}
	return s.End
}

// towerModule is what the families of towers call the module of a layer.
func (s Sizes) towerModule(layer string) string {
	if s.Family == familyOpenCLIP {
		switch layer {
		case "embeddings.words":
			return "token_embedding"
		case "norm":
			return "ln_final"
		case projection:
			return "text_projection"
		}
		block, part, _ := strings.Cut(strings.TrimPrefix(layer, "block"), ".")
		return "transformer.resblocks." + block + "." + map[string]string{
			"attention.norm": "ln_1", "attention.out": "attn.out_proj",
			"feed_forward.norm": "ln_2", "feed_forward.wide": "mlp.c_fc", "feed_forward.narrow": "mlp.c_proj",
		}[part]
	}
	switch layer {
	case "embeddings.words":
		return "embeddings.token_embedding"
	case "embeddings.positions":
		return "embeddings.position_embedding"
	case "norm":
		return "final_layer_norm"
	case projection:
		return "head" // of SigLIP
	}
	block, part, _ := strings.Cut(strings.TrimPrefix(layer, "block"), ".")
	return "encoder.layers." + block + "." + map[string]string{
		"attention.norm": "layer_norm1", "attention.query": "self_attn.q_proj", "attention.key": "self_attn.k_proj",
		"attention.value": "self_attn.v_proj", "attention.out": "self_attn.out_proj",
		"feed_forward.norm": "layer_norm2", "feed_forward.wide": "mlp.fc1", "feed_forward.narrow": "mlp.fc2",
	}[part]
}

// projection is the layer behind the pooling of a tower.
const projection = Pooled + ".projection"

// inTower says where a parameter of a tower lies: in which tensor, after how many parts as large as it, and whether its axes are in the
// other order. shape is that of the tensor.
func (s Sizes) inTower(prefix string, p nn.Parameter) (name string, part int, transposed bool, shape nn.Shape) {
	shape = p.Shape
	switch {
	case s.Family == familyCLIP && p.Layer == projection:
		return strings.TrimSuffix(prefix, "text_model.") + "text_projection.weight", 0, false, shape
	case s.Family != familyOpenCLIP:
	case p.Layer == "embeddings.positions":
		return prefix + "positional_embedding", 0, false, shape
	case p.Layer == projection && !s.Bias:
		return prefix + "text_projection", 0, true, nn.Shape{shape[1], shape[0]}
	default:
		block, layer, _ := strings.Cut(p.Layer, ".")
		if part = slices.Index([]string{"attention.query", "attention.key", "attention.value"}, layer); part >= 0 {
			shape = slices.Clone(shape)
			shape[0] *= 3
			return prefix + s.towerModule(block+".") + "attn.in_proj_" + string(p.Role), part, false, shape
		}
	}
	role := map[nn.Role]string{nn.Gamma: "weight", nn.Beta: "bias"}[p.Role]
	if role == "" {
		role = string(p.Role)
	}
	return prefix + s.towerModule(p.Layer) + "." + role, 0, false, shape
}
