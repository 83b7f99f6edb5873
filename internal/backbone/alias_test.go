package backbone_test

import (
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/backbone"
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
