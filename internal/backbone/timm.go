package backbone

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/backbone/weights"
	"github.com/tlpipe/tlpipe/internal/record"
)

// timmSet is a weight set that timm publishes on the Hugging Face hub under a name such as
// resnet50.a1_in1k, in safetensors. Pixels are those of its configuration. The figures are those of
// timm's own table, which measures some at another size than the configuration's.
func timmSet(name, variant, model, licence string, top1, top5 float64, figuresSize int, pixels record.Preprocessing) WeightSet {
	figures := "timm, results-imagenet.csv"
	if figuresSize != pixels.Height {
		figures += fmt.Sprintf(", at %d×%d", figuresSize, figuresSize)
	}
	return WeightSet{
		Name:          name,
		Variant:       variant,
		Licence:       licence,
		Provenance:    "timm, " + model,
		URL:           "https://huggingface.co/timm/" + model + "/resolve/main/model.safetensors",
		Top1:          top1,
		Top5:          top5,
		Figures:       figures,
		Classes:       weights.ImageNetClasses,
		Preprocessing: pixels,
	}
}

// timmPixels are size×size pixels from the centre of pictures of which that is the share crop.
func timmPixels(normalise string, size int, crop float64, filter string) record.Preprocessing {
	return centrePixels(normalise, size, int(float64(size)/crop), filter)
}
