package encoder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Sizes are those of a transformer encoder.
type Sizes struct {
	Family  string  `json:"family"` // bert, roberta or distilbert
	Words   int     `json:"words"`  // ids there are
	Width   int     `json:"width"`  // of a token's vector
	Blocks  int     `json:"blocks"`
	Heads   int     `json:"heads"`
	Wide    int     `json:"wide"`      // width within the feed-forward networks
	Places  int     `json:"positions"` // rows of the table of positions
	First   int     `json:"first_position,omitempty"`
	Types   int     `json:"types,omitempty"` // rows of the table of token types, of which the first is used; 0: there are none
	Epsilon float32 `json:"epsilon"`

	Activation kernel.Activation `json:"-"`

	Tower
}

// MostTokens is the greatest number of tokens that there are positions for.
func (s Sizes) MostTokens() int { return s.Places - s.First }

// configuration is what config.json says, in the words of all families.
type configuration struct {
	Type string `json:"model_type"`

	VocabSize int      `json:"vocab_size"`
	Positions int      `json:"max_position_embeddings"`
	Types     *int     `json:"type_vocab_size"`
	Epsilon   *float32 `json:"layer_norm_eps"`
	Padding   *int     `json:"pad_token_id"`
	Kind      string   `json:"position_embedding_type"`

	Hidden       int    `json:"hidden_size"`
	Layers       int    `json:"num_hidden_layers"`
	Heads        int    `json:"num_attention_heads"`
	Intermediate int    `json:"intermediate_size"`
	Act          string `json:"hidden_act"`

	// DistilBERT's words.
	Dim         int    `json:"dim"`
	DistilLayer int    `json:"n_layers"`
	DistilHeads int    `json:"n_heads"`
	HiddenDim   int    `json:"hidden_dim"`
	Activation  string `json:"activation"`
}

// The bounds on what a configuration may say: far above any encoder.
const (
	mostWords  = 1 << 22
	mostWidth  = 1 << 14
	mostBlocks = 256
	mostPlaces = 1 << 17
	mostPadded = 1 << 10
)

// readJSON reads a small file of a folder.
func readJSON(folder, name string, into any) error {
	raw, err := budget.ReadFile(filepath.Join(folder, name), 1<<20)
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read %s: %w", filepath.Join(folder, name), err)
	}
	return err
}

// readSizes reads config.json.
func readSizes(folder string) (Sizes, error) {
	var c configuration
	err := readJSON(folder, "config.json", &c)
	if errors.Is(err, fs.ErrNotExist) || err == nil && c.Type == "" {
		if s, err := openCLIPSizes(folder); !errors.Is(err, fs.ErrNotExist) {
			return s, err
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return Sizes{}, fmt.Errorf("there is no config.json in %s: an encoder is a folder with config.json, model.safetensors and a tokenizer, as on Hugging Face", folder)
	} else if err != nil {
		return Sizes{}, err
	}
	var s Sizes
	switch c.Type {
	case "clip", "clip_text_model", "siglip", "siglip_text_model":
		var text json.RawMessage
		if err = readJSON(folder, "config.json", &text); err == nil {
			s, err = towerSizes(text)
		}
	default:
		s, err = c.sizes()
	}
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return Sizes{}, fmt.Errorf("%s: %w", filepath.Join(folder, "config.json"), err)
	}
	return s, nil
}

func (c configuration) sizes() (s Sizes, err error) {
	s = Sizes{
		Family: c.Type, Words: c.VocabSize, Width: c.Hidden, Blocks: c.Layers, Heads: c.Heads, Wide: c.Intermediate,
		Places: c.Positions, Epsilon: 1e-12,
	}
	act := c.Act
	switch c.Type {
	case "bert":
		s.Types = 2
	case "roberta", "xlm-roberta", "camembert":
		s.Family, s.Types, s.Epsilon = "roberta", 1, 1e-5
		s.First = 2 // behind the id of padding
		if c.Padding != nil {
			s.First = *c.Padding + 1
		}
	case "distilbert":
		s.Width, s.Blocks, s.Heads, s.Wide, act = c.Dim, c.DistilLayer, c.DistilHeads, c.HiddenDim, c.Activation
	default:
		return s, fmt.Errorf("model_type %q is not supported: bert, roberta, xlm-roberta, camembert, distilbert, clip and siglip are", c.Type)
	}
	if c.Types != nil && s.Types > 0 {
		s.Types = *c.Types
	}
	if c.Epsilon != nil && c.Type != "distilbert" {
		s.Epsilon = *c.Epsilon
	}
	if c.Kind != "" && c.Kind != "absolute" {
		return s, fmt.Errorf("position_embedding_type %q is not supported: only absolute positions are", c.Kind)
	}
	s.Activation, err = activation(act)
	return s, err
}

// activation returns the function that transformers call so.
func activation(name string) (kernel.Activation, error) {
	switch name {
	case "gelu", "gelu_python":
		return kernel.GELU, nil
	case "gelu_new", "gelu_fast", "gelu_pytorch_tanh":
		return kernel.GELUTanh, nil
	case "quick_gelu":
		return kernel.QuickGELU, nil
	case "relu":
		return kernel.ReLU, nil
	case "silu", "swish":
		return kernel.SiLU, nil
	}
	return 0, fmt.Errorf("activation %q is not supported: gelu, gelu_new, quick_gelu, relu and silu are", name)
}

func (s Sizes) check() error {
	for _, n := range []struct {
		name        string
		value, most int
	}{
		{"vocab_size", s.Words, mostWords}, {"hidden_size", s.Width, mostWidth}, {"num_hidden_layers", s.Blocks, mostBlocks},
		{"num_attention_heads", s.Heads, s.Width}, {"intermediate_size", s.Wide, 16 * mostWidth}, {"max_position_embeddings", s.Places, mostPlaces},
	} {
		if n.value < 1 || n.value > n.most {
			return fmt.Errorf("%s is %d: must be from 1 to %d", n.name, n.value, n.most)
		}
	}
	switch {
	case s.Width%s.Heads != 0:
		return fmt.Errorf("hidden_size is %d, which is not divisible by %d heads", s.Width, s.Heads)
	case s.First < 0 || s.MostTokens() < 1:
		return fmt.Errorf("the first of %d positions is %d: none is left", s.Places, s.First)
	case s.Types < 0 || s.Types > mostWidth:
		return fmt.Errorf("type_vocab_size is %d: must be from 0 to %d", s.Types, mostWidth)
	case s.Projection < 0 || s.Projection > mostWidth:
		return fmt.Errorf("the width of the projection is %d: must be from 0 to %d", s.Projection, mostWidth)
	case s.Padded && s.Places > mostPadded:
		return fmt.Errorf("max_position_embeddings is %d: texts that are computed with padding may have %d at most", s.Places, mostPadded)
	case s.Padding < 0 || int(s.Padding) >= s.Words:
		return fmt.Errorf("pad_token_id is %d, of %d tokens there are", s.Padding, s.Words)
	case !(s.Epsilon > 0 && s.Epsilon < 1):
		return fmt.Errorf("layer_norm_eps is %v: must be above 0 and below 1", s.Epsilon)
	}
	return nil
}

// pooling is how one vector is made of those of the tokens; its zero value says nothing.
type pooling struct {
	Function  string `json:"function"` // mean, max, first
	Normalise bool   `json:"normalise,omitempty"`
}

// readPooling reads what sentence-transformers says; the zero value if that says nothing.
func readPooling(folder string) (pooling, error) {
	type module struct{ Path, Type string }
	var modules []module
	err := readJSON(folder, "modules.json", &modules)
	if errors.Is(err, fs.ErrNotExist) {
		modules = []module{{Path: "1_Pooling", Type: ".Pooling"}}
	} else if err != nil {
		return pooling{}, err
	}
	var p pooling
	for _, m := range modules {
		switch kind := m.Type[strings.LastIndexByte(m.Type, '.')+1:]; kind {
		case "Transformer":
		case "Normalize":
			p.Normalise = true
		case "Pooling":
			if strings.ContainsAny(m.Path, `/\`) || strings.Contains(m.Path, "..") {
				return p, fmt.Errorf("%s: the path %q is not a folder beside it", filepath.Join(folder, "modules.json"), m.Path)
			}
			if p.Function, err = poolingFunction(folder, filepath.Join(m.Path, "config.json")); errors.Is(err, fs.ErrNotExist) {
				return pooling{}, nil
			} else if err != nil {
				return p, err
			}
		default:
			return p, fmt.Errorf("%s: the module %q is not supported (Transformer, Pooling and Normalize are)", filepath.Join(folder, "modules.json"), kind)
		}
	}
	return p, nil
}

func poolingFunction(folder, name string) (string, error) {
	var all map[string]any
	if err := readJSON(folder, name, &all); err != nil {
		return "", err
	}
	known := map[string]string{"pooling_mode_cls_token": "first", "pooling_mode_mean_tokens": "mean", "pooling_mode_max_tokens": "max", "pooling_mode_lasttoken": "last"}
	function := ""
	for key, value := range all {
		if on, ok := value.(bool); !ok || !on || !strings.HasPrefix(key, "pooling_mode_") {
			continue
		}
		if known[key] == "" || function != "" {
			return "", fmt.Errorf("%s: one of pooling_mode_cls_token, pooling_mode_mean_tokens, pooling_mode_max_tokens and pooling_mode_lasttoken must be true, and no other", filepath.Join(folder, name))
		}
		function = known[key]
	}
	if function == "" {
		return "", fmt.Errorf("%s: no pooling mode is true", filepath.Join(folder, name))
	}
	return function, nil
}
