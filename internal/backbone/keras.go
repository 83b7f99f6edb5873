package backbone

import (
	"github.com/tlpipe/tlpipe/internal/backbone/weights"
	"github.com/tlpipe/tlpipe/internal/record"
)

// kerasSet is the weight set of keras.applications. Keras publishes no SHA-256; the figures are those
// of its table of models.
func kerasSet(model, url string, top1, top5 float64, pixels record.Preprocessing) WeightSet {
	return WeightSet{
		Name:          "imagenet",
		Licence:       "Apache-2.0",
		Provenance:    "keras.applications, " + model + ", trained by Google",
		URL:           url,
		Top1:          top1,
		Top5:          top5,
		Figures:       "keras.io/api/applications",
		Classes:       weights.ImageNetClasses,
		Preprocessing: pixels,
	}
}

// inceptionPixels are pixels of −1 … 1, of which TensorFlow's evaluation takes the centre, 7/8 of
// each side.
func inceptionPixels(size, resize int) record.Preprocessing {
	mean, std, channels, _ := record.Normalisation("inception")
	return record.Preprocessing{
		Height: size, Width: size,
		Resize: record.ResizeShortest, ResizeTo: resize, Filter: record.FilterBilinear,
		Channels: channels, Mean: mean, Std: std, Normalise: "inception",
	}
}
