package backbone

import (
	"fmt"
	"math"
	"strings"

	"github.com/tlpipe/tlpipe/internal/backbone/weights"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// viTS16 and viTB16 are the Vision Transformers of patches of 16×16 pixels; DeiT's are the same networks, trained otherwise.
func viTS16() Backbone {
	net := visionTransformer{patch: 16, width: 384, heads: 6, epsilon: 1e-6, classes: 1000}
	deit := timmSet("deit", "", "deit_small_patch16_224.fb_in1k", "Apache-2.0", 79.9, 95.0, 224, timmPixels("imagenet", 224, 0.9, record.FilterBicubic))
	deit.Figures = "DeiT's README"
	return net.backbone("vit_s16", "ViT-S/16", "Dosovitskiy et al. 2021, arXiv:2010.11929; Touvron et al. 2021, arXiv:2012.12877", "logits",
		timmSet("imagenet", "", "vit_small_patch16_224.augreg_in21k_ft_in1k", "Apache-2.0", 81.384, 96.136, 224, timmPixels("inception", 224, 0.9, record.FilterBicubic)),
		deit)
}

func viTB16() Backbone {
	net := visionTransformer{patch: 16, width: 768, heads: 12, epsilon: 1e-6, classes: 1000}
	return net.backbone("vit_b16", "ViT-B/16", "Dosovitskiy et al. 2021, arXiv:2010.11929; Touvron et al. 2021, arXiv:2012.12877", "logits",
		timmSet("imagenet", "", "vit_base_patch16_224.augreg2_in21k_ft_in1k", "Apache-2.0", 85.096, 97.53, 224, timmPixels("inception", 224, 0.9, record.FilterBicubic)),
		timmSet("deit", "", "deit_base_patch16_224.fb_in1k", "Apache-2.0", 81.992, 95.736, 224, timmPixels("imagenet", 224, 0.9, record.FilterBicubic)),
		torchvision("torchvision", "ViT_B_16_Weights.IMAGENET1K_V1", "vit_b_16-c867db91.pth", 81.072, 95.318, imageNetPixels(224, 256, record.FilterBilinear)))
}

// dinoV2S14 and the others of its family learned without labels. Their positions were trained on 37×37 patches.
func dinoV2S14() Backbone {
	return dinoV2("dinov2_s14", "DINOv2 ViT-S/14", visionTransformer{width: 384, heads: 6}, "dinov2_vits14/dinov2_vits14_pretrain.pth", 81.1)
}

func dinoV2B14() Backbone {
	return dinoV2("dinov2_b14", "DINOv2 ViT-B/14", visionTransformer{width: 768, heads: 12}, "dinov2_vitb14/dinov2_vitb14_pretrain.pth", 84.5)
}

func dinoV2RegistersS14() Backbone {
	return dinoV2("dinov2_reg_s14", "DINOv2 ViT-S/14 with registers", visionTransformer{width: 384, heads: 6, registers: 4}, "dinov2_vits14/dinov2_vits14_reg4_pretrain.pth", 80.9)
}

func dinoV2RegistersB14() Backbone {
	return dinoV2("dinov2_reg_b14", "DINOv2 ViT-B/14 with registers", visionTransformer{width: 768, heads: 12, registers: 4}, "dinov2_vitb14/dinov2_vitb14_reg4_pretrain.pth", 84.6)
}

func dinoV2(name, title string, net visionTransformer, file string, top1 float64) Backbone {
	net.patch, net.epsilon, net.scaled, net.side = 14, 1e-6, true, 37
	paper := "Oquab et al. 2023, arXiv:2304.07193"
	if net.registers > 0 {
		paper = "Darcet et al. 2024, arXiv:2309.16588"
	}
	return net.backbone(name, title, paper, "", WeightSet{
		Name: "lvd142m", Licence: "Apache-2.0", Provenance: "facebookresearch/dinov2, " + file[:strings.IndexByte(file, '/')],
		URL: "https://dl.fbaipublicfiles.com/dinov2/" + file, Top1: top1, Figures: "DINOv2's README, a linear classifier on frozen features",
		Preprocessing: imageNetPixels(224, 256, record.FilterBicubic),
	})
}

// clipB16 and clipB32 are the picture towers of OpenAI's CLIP, up to the vectors that are compared with those of texts.
func clipB16() Backbone {
	return clip("clip_b16", "CLIP ViT-B/16", visionTransformer{patch: 16}, "vit_base_patch16_clip_224.openai", 68.3)
}

func clipB32() Backbone {
	return clip("clip_b32", "CLIP ViT-B/32", visionTransformer{patch: 32}, "vit_base_patch32_clip_224.openai", 63.3)
}

func clip(name, title string, net visionTransformer, model string, top1 float64) Backbone {
	net.width, net.heads, net.epsilon, net.act, net.early, net.classes = 768, 12, 1e-5, kernel.QuickGELU, true, 512
	set := timmSet("openai", "", model, "Apache-2.0", top1, 0, 224, timmPixels("clip", 224, 0.9, record.FilterBicubic))
	set.Figures, set.Classes = "OpenCLIP, zero-shot classification", nil
	return net.backbone(name, title, "Radford et al. 2021, arXiv:2103.00020", "projection", set)
}

// sigLIPB16 is the picture tower of SigLIP. timm computes GELU with the error function, transformers and those who published it by
// tanh: two variants.
func sigLIPB16() Backbone {
	net := visionTransformer{patch: 16, width: 768, heads: 12, epsilon: 1e-6, latent: true}
	pixels := timmPixels("inception", 224, 0.9, record.FilterBicubic)
	squashed := record.Preprocessing{
		Height: 224, Width: 224, Resize: record.ResizeSquash, Filter: record.FilterBicubic,
		Channels: pixels.Channels, Mean: pixels.Mean, Std: pixels.Std, Normalise: pixels.Normalise,
	}
	b := net.backbone("siglip_b16", "SigLIP ViT-B/16", "Zhai et al. 2023, arXiv:2303.15343", "", WeightSet{
		Name: "google", Variant: "transformers", Licence: "Apache-2.0", Provenance: "google/siglip-base-patch16-224, both towers",
		URL: "https://huggingface.co/google/siglip-base-patch16-224/resolve/main/model.safetensors", Preprocessing: squashed,
	}, WeightSet{
		Name: "timm", Variant: "timm", Licence: "Apache-2.0", Provenance: "timm, vit_base_patch16_siglip_224.webli",
		URL: "https://huggingface.co/timm/vit_base_patch16_siglip_224.webli/resolve/main/model.safetensors", Preprocessing: pixels,
	})
	timm := b.variants[0]
	net.act = kernel.GELUTanh
	b.variants = []variant{{name: "transformers", build: net.build(""), namings: timm.namings[1:]}, {name: "timm", build: timm.build, namings: timm.namings[:1]}}
	return b
}

// visionTransformer is a network of table 1 of the paper, with twelve blocks, and what later ones changed.
type visionTransformer struct {
	patch, width, heads int
	epsilon             float32
	act                 kernel.Activation // of the feed-forward networks; the zero value is GELU
	side                int               // of the square of patches that positions were trained on; 0: 224 pixels'
	registers           int               // tokens that stand for nothing
	scaled              bool              // learned factors on what a block adds (Touvron et al. 2021, arXiv:2103.17239)
	early               bool              // a norm before the first block, and patches without a bias
	latent              bool              // no class token: a learned query attends to the patches, and what it finds is pooled (Lee et al. 2019, arXiv:1810.00825)
	classes             int               // of the layer at the end, or its width; 0: there is none
}

const visionBlocks = 12

func (v visionTransformer) trained() int {
	if v.side > 0 {
		return v.side
	}
	return 224 / v.patch
}

// before is how many tokens there are before the patches, without registers.
func (v visionTransformer) before() int {
	if v.latent {
		return 0
	}
	return 1
}

func (v visionTransformer) backbone(name, title, paper, last string, sets ...WeightSet) Backbone {
	for i := range sets {
		if last == "logits" {
			sets[i].Classes = weights.ImageNetClasses
		}
	}
	return Backbone{
		Name: name, Title: title, Paper: paper,
		Pooled: "pooled", LastMap: "map", Logits: last, MinSize: 2 * v.patch,
		Weights:  sets,
		variants: []variant{{name: "timm", build: v.build(last), namings: v.namings(last)}},
	}
}

func (v visionTransformer) build(last string) func(*nn.Builder, nn.Value) {
	return func(b *nn.Builder, image nn.Value) {
		stem := b.Scope("stem")
		patches := stem.Layer("conv", nn.Conv{Out: v.width, Kernel: nn.Square(v.patch), Stride: nn.Square(v.patch), Bias: !v.early}, image)
		grid := patches.Shape
		x := stem.Layer("tokens", nn.Reshape{Shape: nn.Shape{grid[0] * grid[1], v.width}}, patches)
		if !v.latent {
			x = stem.Layer("class", nn.Prepend{Count: 1}, x)
		}
		x = stem.Layer("positions", nn.Positions{Count: v.before() + grid[0]*grid[1]}, x)
		if v.registers > 0 {
			x = stem.Layer("registers", nn.Prepend{Count: v.registers}, x)
		}
		if v.early {
			x = stem.Layer("norm", nn.LayerNorm{Epsilon: v.epsilon}, x)
		}
		for i := range visionBlocks {
			x = v.block(b.Scope(fmt.Sprintf("block%d", i)), x)
		}
		x = b.Layer("norm", nn.LayerNorm{Epsilon: v.epsilon}, x)

		if v.latent {
			b.Layer("map", nn.Reshape{Shape: grid}, x)
			v.attentionPool(b, x)
			return
		}
		// The map is that of the patches alone.
		before := v.registers + v.before()
		column := b.Layer("map.column", nn.Reshape{Shape: nn.Shape{x.Shape[0], 1, v.width}}, x)
		column = b.Layer("map.patches", nn.ZeroPad{Margins: nn.Padding{-before, 0, 0, 0}}, column)
		b.Layer("map.grid", nn.Reshape{Shape: grid}, column)

		x = b.Layer("pooled", nn.TokenPool{Function: kernel.FirstToken, Skip: v.registers}, x)
		if v.classes > 0 {
			b.Layer(last, nn.Dense{Out: v.classes, Bias: true}, x)
		}
	}
}

// block has its norms before attention and feed-forward network.
func (v visionTransformer) block(b *nn.Builder, x nn.Value) nn.Value {
	dense := dense(b)
	add := func(part string, x, y nn.Value) nn.Value {
		if v.scaled {
			y = b.Layer(part+".scale", nn.ScaleShift{Scale: true}, y)
		}
		return b.Layer(part+".sum", nn.Add{}, y, x)
	}
	normed := b.Layer("attention.norm", nn.LayerNorm{Epsilon: v.epsilon}, x)
	y := b.Layer("attention.heads", nn.Attention{Heads: v.heads},
		dense("attention.query", v.width, normed), dense("attention.key", v.width, normed), dense("attention.value", v.width, normed))
	x = add("attention", x, dense("attention.out", v.width, y))
	y = dense("feed_forward.wide", 4*v.width, b.Layer("feed_forward.norm", nn.LayerNorm{Epsilon: v.epsilon}, x))
	y = b.Layer("feed_forward.activation", nn.Activation{Function: v.function()}, y)
	return add("feed_forward", x, dense("feed_forward.narrow", v.width, y))
}

// dense adds dense layers with biases.
func dense(b *nn.Builder) func(name string, out int, x nn.Value) nn.Value {
	return func(name string, out int, x nn.Value) nn.Value {
		return b.Layer(name, nn.Dense{Out: out, Bias: true}, x)
	}
}

func (v visionTransformer) function() kernel.Activation {
	if v.act == kernel.None {
		return kernel.GELU
	}
	return v.act
}

// attentionPool makes one vector of the tokens: a learned query attends to all of them, and a feed-forward network follows.
func (v visionTransformer) attentionPool(b *nn.Builder, x nn.Value) {
	pool := b.Scope("pool")
	dense := dense(pool)
	heads := func(name string, x nn.Value) nn.Value { // [heads, tokens, channels of a head]
		tokens := x.Shape.Size() / v.width
		y := pool.Layer(name+".heads", nn.Reshape{Shape: nn.Shape{tokens, v.heads, v.width / v.heads}}, x)
		return pool.Layer(name+".by_head", nn.Transpose{Axes: []int{1, 0, 2}}, y)
	}
	latent := pool.Layer("latent", nn.Prepend{Count: 1}, x)
	query := heads("query", dense("query", v.width, pool.Layer("probe", nn.TokenPool{Function: kernel.FirstToken}, latent)))
	key, value := heads("key", dense("key", v.width, x)), heads("value", dense("value", v.width, x))
	y := pool.Layer("scores", nn.MatMul{TransposeB: true}, query, key)
	y = pool.Layer("scores.scaled", nn.Scale{Factor: float32(1 / math.Sqrt(float64(v.width/v.heads)))}, y)
	y = pool.Layer("found", nn.MatMul{}, pool.Layer("weights", nn.Softmax{}, y), value)
	x = dense("out", v.width, pool.Layer("found.joined", nn.Reshape{Shape: nn.Shape{v.width}}, y))
	y = dense("feed_forward.wide", 4*v.width, pool.Layer("norm", nn.LayerNorm{Epsilon: v.epsilon}, x))
	y = pool.Layer("feed_forward.activation", nn.Activation{Function: v.function()}, y)
	b.Layer("pooled", nn.Add{}, dense("feed_forward.narrow", v.width, y), x)
}

// namings are those of timm, which those who published DINOv2 share, of torchvision and of transformers.
func (v visionTransformer) namings(last string) []naming {
	timm := v.naming("timm", map[string]string{
		"stem.conv": "patch_embed.proj", "stem.class": "cls_token", "stem.positions": "pos_embed", "stem.registers": "register_tokens", "stem.norm": "norm_pre",
		"norm": "norm", last: "head", "pool.latent": "attn_pool.latent", "pool.query": "attn_pool.q", "pool.out": "attn_pool.proj", "pool.norm": "attn_pool.norm",
		"pool.feed_forward.wide": "attn_pool.mlp.fc1", "pool.feed_forward.narrow": "attn_pool.mlp.fc2",
	}, "blocks.%d.", map[string]string{
		"attention.norm": "norm1", "attention.out": "attn.proj", "attention.scale": "ls1.gamma",
		"feed_forward.norm": "norm2", "feed_forward.wide": "mlp.fc1", "feed_forward.narrow": "mlp.fc2", "feed_forward.scale": "ls2.gamma",
	})
	timm.joint = func(layer string) joint {
		switch layer {
		case "pool.key", "pool.value":
			return joint{"attn_pool.kv.", []string{"key", "value"}}
		}
		return v.jointBlocks("blocks.%d.attn.qkv.", layer)
	}
	namings := []naming{timm}
	if v.registers > 0 { // timm's own name, and positions without that of the class token
		own, layer := timm, timm.whole
		own.title, own.grid.before = "timm, registers", 0
		own.whole = func(l string) string {
			if l == "stem.registers" {
				return "reg_token"
			}
			return layer(l)
		}
		namings = append(namings, own)
	}
	switch {
	case v.early || v.latent:
		tower := v.naming("transformers", map[string]string{
			"stem.conv": "vision_model.embeddings.patch_embedding", "stem.class": "vision_model.embeddings.class_embedding",
			"stem.positions": "vision_model.embeddings.position_embedding.weight", "stem.norm": "vision_model.pre_layrnorm",
			"norm": "vision_model.post_layernorm", last: "visual_projection",
			"pool.latent": "vision_model.head.probe", "pool.out": "vision_model.head.attention.out_proj", "pool.norm": "vision_model.head.layernorm",
			"pool.feed_forward.wide": "vision_model.head.mlp.fc1", "pool.feed_forward.narrow": "vision_model.head.mlp.fc2",
		}, "vision_model.encoder.layers.%d.", map[string]string{
			"attention.norm": "layer_norm1", "attention.query": "self_attn.q_proj", "attention.key": "self_attn.k_proj", "attention.value": "self_attn.v_proj",
			"attention.out": "self_attn.out_proj", "feed_forward.norm": "layer_norm2", "feed_forward.wide": "mlp.fc1", "feed_forward.narrow": "mlp.fc2",
		})
		if v.latent {
			tower.joint = func(layer string) joint {
				if strings.HasPrefix(layer, "pool.") {
					return joint{"vision_model.head.attention.in_proj_", []string{"query", "key", "value"}}
				}
				return joint{}
			}
			return append(namings, tower, tower.alone("vision_model."))
		}
		tower.bare = last
		openAI := v.naming("OpenAI", map[string]string{
			"stem.conv": "visual.conv1", "stem.class": "visual.class_embedding", "stem.positions": "visual.positional_embedding", "stem.norm": "visual.ln_pre",
			"norm": "visual.ln_post", last: "visual.proj",
		}, "visual.transformer.resblocks.%d.", map[string]string{
			"attention.norm": "ln_1", "attention.out": "attn.out_proj", "feed_forward.norm": "ln_2", "feed_forward.wide": "mlp.c_fc", "feed_forward.narrow": "mlp.c_proj",
		})
		openAI.joint = func(layer string) joint { return v.jointBlocks("visual.transformer.resblocks.%d.attn.in_proj_", layer) }
		openAI.bare, openAI.turned = last, last
		namings = append(namings, tower, tower.alone("vision_model."), openAI)
	case v.scaled:
		namings = append(namings, v.naming("transformers", map[string]string{
			"stem.conv": "embeddings.patch_embeddings.projection", "stem.class": "embeddings.cls_token",
			"stem.positions": "embeddings.position_embeddings", "stem.registers": "embeddings.register_tokens", "norm": "layernorm",
		}, "encoder.layer.%d.", map[string]string{
			"attention.norm": "norm1", "attention.query": "attention.attention.query", "attention.key": "attention.attention.key",
			"attention.value": "attention.attention.value", "attention.out": "attention.output.dense", "attention.scale": "layer_scale1.lambda1",
			"feed_forward.norm": "norm2", "feed_forward.wide": "mlp.fc1", "feed_forward.narrow": "mlp.fc2", "feed_forward.scale": "layer_scale2.lambda1",
		}))
	default:
		torchvision := v.naming("torchvision", map[string]string{
			"stem.conv": "conv_proj", "stem.class": "class_token", "stem.positions": "encoder.pos_embedding", "norm": "encoder.ln", last: "heads.head",
		}, "encoder.layers.encoder_layer_%d.", map[string]string{
			"attention.norm": "ln_1", "attention.out": "self_attention.out_proj", "feed_forward.norm": "ln_2", "feed_forward.wide": "mlp.0", "feed_forward.narrow": "mlp.3",
		})
		torchvision.joint = func(layer string) joint {
			return v.jointBlocks("encoder.layers.encoder_layer_%d.self_attention.in_proj_", layer)
		}
		whole := v.naming("transformers", map[string]string{
			"stem.conv": "vit.embeddings.patch_embeddings.projection", "stem.class": "vit.embeddings.cls_token",
			"stem.positions": "vit.embeddings.position_embeddings", "norm": "vit.layernorm", last: "classifier",
		}, "vit.encoder.layer.%d.", map[string]string{
			"attention.norm": "layernorm_before", "attention.query": "attention.attention.query", "attention.key": "attention.attention.key",
			"attention.value": "attention.attention.value", "attention.out": "attention.output.dense",
			"feed_forward.norm": "layernorm_after", "feed_forward.wide": "intermediate.dense", "feed_forward.narrow": "output.dense",
		})
		namings = append(namings, torchvision, whole, whole.alone("vit."))
	}
	return namings
}

// jointBlocks says that the queries, keys and values of block number %d lie in one tensor.
func (visionTransformer) jointBlocks(tensor, layer string) joint {
	if part, ok := strings.CutPrefix(layer, "block"); ok {
		number, _, _ := strings.Cut(part, ".")
		return joint{strings.Replace(tensor, "%d", number, 1), []string{"attention.query", "attention.key", "attention.value"}}
	}
	return joint{}
}

// naming is one with names of layers and, in block number %d, of its layers. Those of tokens, positions and factors are names of
// tensors.
func (v visionTransformer) naming(title string, layers map[string]string, block string, within map[string]string) naming {
	name := func(layer string) string {
		if part, ok := strings.CutPrefix(layer, "block"); ok {
			number, rest, _ := strings.Cut(part, ".")
			return strings.Replace(block, "%d", number, 1) + within[rest]
		}
		return layers[layer]
	}
	n := pyTorch(title, name)
	n.whole = func(layer string) string {
		switch layer[strings.LastIndexByte(layer, '.')+1:] {
		case "class", "positions", "registers", "scale", "latent":
			return name(layer)
		}
		return ""
	}
	n.grid = grid{side: v.trained(), before: v.before(), here: v.before()}
	n.unused = []string{"embeddings.mask_token", "vision_model.embeddings.position_ids"}
	return n
}
