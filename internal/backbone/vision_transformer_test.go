package backbone

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/safetensors"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// A file of transformers has the names that its models save, and no bias of CLIP's projection.
func TestVisionTransformersOfTransformers(t *testing.T) {
	for name, tensors := range map[string][]string{
		"vit_s16":        {"vit.embeddings.cls_token", "vit.encoder.layer.11.attention.attention.query.weight", "vit.encoder.layer.0.layernorm_after.bias", "classifier.weight"},
		"dinov2_reg_s14": {"embeddings.register_tokens", "encoder.layer.0.layer_scale2.lambda1", "encoder.layer.3.attention.output.dense.bias"},
		"siglip_b16":     {"vision_model.embeddings.position_embedding.weight", "vision_model.head.probe", "vision_model.head.attention.in_proj_weight", "vision_model.head.mlp.fc2.bias", "vision_model.post_layernorm.weight"},
		"clip_b32":       {"vision_model.embeddings.class_embedding", "vision_model.encoder.layers.0.self_attn.k_proj.bias", "vision_model.pre_layrnorm.weight", "visual_projection.weight"},
	} {
		b, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		namings := b.variants[0].namings
		names := namings[slices.IndexFunc(namings, func(n naming) bool { return n.title == "transformers" })]
		whole, err := b.whole()
		if err != nil {
			t.Fatal(err)
		}
		list := tensorList(whole, names)
		for _, want := range tensors {
			if !slices.ContainsFunc(list, func(x safetensors.Tensor) bool { return x.Name == want }) {
				t.Errorf("%s: no tensor is called %s", name, want)
			}
		}
		if name != "clip_b32" {
			continue
		}
		net, err := nn.New(whole.Layers(), b.Logits)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			list[i].Data = make([]float32, nn.Shape(list[i].Shape).Size())
		}
		var content bytes.Buffer
		if err := safetensors.Write(&content, list, nil); err != nil {
			t.Fatal(err)
		}
		file, err := safetensors.Parse(content.Bytes(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.load(file.Tensors(), net); err != nil {
			t.Error(err)
		}
	}
}

// OpenCLIP keeps timm's network within its own, beside the text tower; transformers saves both towers in one file, or one alone.
func TestSigLIPIsFoundInFilesOfBothTowers(t *testing.T) {
	b, err := Find("siglip_b16")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		variant, naming, prefix string
		others                  []string
	}{
		{"timm", "timm", "visual.trunk.", []string{"text.transformer.resblocks.0.ln_1.weight", "text.token_embedding.weight", "logit_scale", "logit_bias"}},
		{"transformers", "transformers", "", []string{"text_model.encoder.layers.0.layer_norm1.weight", "text_model.head.weight", "logit_scale", "logit_bias"}},
		{"transformers", "transformers, vision_model alone", "", nil},
	} {
		v, err := b.As(c.variant)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := v.whole()
		if err != nil {
			t.Fatal(err)
		}
		namings := v.variants[v.chosen].namings
		at := slices.IndexFunc(namings, func(n naming) bool { return n.title == c.naming })
		if at < 0 {
			t.Fatalf("there is no naming %q", c.naming)
		}
		var file []stored.Tensor
		for _, x := range tensorList(whole, namings[at]) {
			file = append(file, stored.Tensor{Name: c.prefix + x.Name, Shape: x.Shape})
		}
		for _, name := range c.others {
			file = append(file, stored.Tensor{Name: name, Shape: []int{1}})
		}
		bare, err := b.unwrapped(file)
		if err != nil {
			t.Fatal(err)
		}
		found, err := b.variantOf(bare)
		if err != nil || found.chosen != v.chosen {
			t.Errorf("%+v: found variant %d, want %d: %v", c, found.chosen, v.chosen, err)
			continue
		}
		names, err := found.namingOf(bare, whole)
		if err != nil || names.title != c.naming {
			t.Errorf("%+v: taken for names of %s, %v", c, names.title, err)
		}
	}
}

// Positions that are all equal are so in every size, and those that are mirrored stay mirrored; the references hold the rest.
func TestPositionsOfOtherSizes(t *testing.T) {
	p := placement{from: grid{side: 9, before: 1, here: 1}, to: [2]int{5, 18}, width: 2}
	data := []float32{7, 8}
	for y := range 9 {
		for x := range 9 {
			data = append(data, 3, float32((x-4)*(x-4)+y))
		}
	}
	if !p.fits([]int{1, 82, 2}) || p.fits([]int{1, 81, 2}) || p.fits([]int{82, 3}) {
		t.Error("what fits is not told")
	}
	out := p.apply(data)
	if len(out) != 2*(1+5*18) || out[0] != 7 || out[1] != 8 {
		t.Fatalf("%d numbers, %v", len(out), out[:2])
	}
	for y := range 5 {
		for x := range 18 {
			at, mirrored := out[2*(1+y*18+x):], out[2*(1+y*18+17-x):]
			if math.Abs(float64(at[0])-3) > 1e-5 || math.Abs(float64(at[1]-mirrored[1])) > 1e-4 {
				t.Errorf("at %d, %d: %v, mirrored %v", x, y, at[:2], mirrored[:2])
			}
		}
	}
}
