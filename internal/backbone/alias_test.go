package backbone_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/safetensors"
)

// Backbones are found by the names that frameworks have for them; names that say which weights mean those.
func TestAliases(t *testing.T) {
	for name, want := range map[string]string{
		"MobileNetV2": "mobilenet_v2", "mobilenetv2": "mobilenet_v2", "mobilenetv2_100": "mobilenet_v2", "MOBILENET-V2": "mobilenet_v2",
		"EfficientNetB0": "efficientnet_b0", "NASNetMobile": "nasnet_mobile", "InceptionResNetV2": "inception_resnet_v2",
		"ResNet-50": "resnet50", "resnet50.a1_in1k": "resnet50:timm", "timm/resnet50.a1_in1k": "resnet50:timm",
		"hf-hub:timm/mobilenetv2_100.ra_in1k": "mobilenet_v2:timm", "tf_efficientnet_b0": "efficientnet_b0:timm_tf",
		"ResNet50_Weights.IMAGENET1K_V2": "resnet50:imagenet_v2", "VGG16_Weights.IMAGENET1K_V1": "vgg16",
	} {
		b, set, err := backbone.FindSet(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := b.For(set).For; got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	for name, hint := range map[string]string{"resnet5": `did you mean "resnet50"?`, "resnet50.a2_in1k": `did you mean "resnet50.a1_in1k"?`, "llama": "models list --aliases"} {
		if _, err := backbone.Find(name); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: %v, want a hint with %q", name, err, hint)
		}
	}
}

// No alias is another backbone's, and each finds its backbone with its weights.
func TestAliasesAreOfOne(t *testing.T) {
	for _, b := range backbone.All() {
		for _, a := range b.Aliases() {
			found, err := backbone.Find(a.Name)
			if err != nil || found.Name != b.Name {
				t.Errorf("%s of %s finds %s, %v", a.Name, b.Name, found.Name, err)
			}
			if a.Set == "" {
				continue
			}
			_, set, err := backbone.FindSet(a.Name)
			if err != nil || set.Name != a.Set {
				t.Errorf("%s of %s finds the weights %s, %v; want %s", a.Name, b.Name, set.Name, err, a.Set)
			}
		}
	}
}

// Wrappers' names are taken off, whatever stands beside, and what is not the backbone's is left out and named. A file of a
// larger network is no such file.
func TestWrappedWeightsWithOtherHeads(t *testing.T) {
	b, err := backbone.Find("efficientnet_lite0")
	if err != nil {
		t.Fatal(err)
	}
	net, want := lite0(t, 64, 64)
	trunk, err := net.Cut("pooled")
	if err != nil {
		t.Fatal(err)
	}
	one := safetensors.Tensor{Name: "loss.weight", Shape: []int{1}, Data: []float32{1}}
	for _, prefix := range []string{"", "net.", "module._orig_mod.", "model.backbone."} {
		path := write(t, want, func(all []safetensors.Tensor) []safetensors.Tensor {
			out := []safetensors.Tensor{one, {Name: "fc.3.weight", Shape: []int{1}, Data: []float32{1}}}
			for _, x := range all {
				if !strings.HasPrefix(x.Name, "logits.") {
					x.Name = prefix + x.Name
					out = append(out, x)
				}
			}
			return out
		})
		v, err := b.ForFile(path)
		if err != nil {
			t.Errorf("%q: %v", prefix, err)
			continue
		}
		got, err := v.LoadFile(path, trunk)
		if err != nil {
			t.Errorf("%q: %v", prefix, err)
			continue
		}
		for _, p := range trunk.Parameters() {
			if !slices.Equal(got[p.Name()].Data, want[p.Name()].Data) {
				t.Errorf("%q: other numbers in %s", prefix, p.Name())
				break
			}
		}
		left, err := v.LeftOut(path)
		if slices.Sort(left); err != nil || !slices.Equal(left, []string{"fc.3.weight", "loss.weight"}) {
			t.Errorf("%q: left out %v, %v", prefix, left, err)
		}
	}
	if left, err := b.LeftOut(write(t, nil, func([]safetensors.Tensor) []safetensors.Tensor { return []safetensors.Tensor{one} })); err == nil {
		t.Errorf("of a file of another network %v are left out", left)
	}
	part, _, _ := strings.Cut(trunk.Parameters()[0].Name(), ".")
	path := write(t, want, func(all []safetensors.Tensor) []safetensors.Tensor {
		one.Name = part + ".more.weight"
		return append(all, one)
	})
	if _, err := b.LoadFile(path, trunk); err == nil || !strings.Contains(err.Error(), "not known to the network: "+part+".more.weight") {
		t.Errorf("a tensor more in a part of the network: %v", err)
	}
}
