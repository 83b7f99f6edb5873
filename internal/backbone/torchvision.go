package backbone

import (
	"strings"

	"github.com/tlpipe/tlpipe/internal/backbone/weights"
	"github.com/tlpipe/tlpipe/internal/record"
)

// torchvision is a weight set that torchvision 0.23 publishes under the name version. The file's
// name carries the first digits of its SHA-256; the figures are those of the class of weights.
func torchvision(name, version, file string, top1, top5 float64, pixels record.Preprocessing) WeightSet {
	digest := strings.TrimSuffix(file[strings.LastIndexByte(file, '-')+1:], ".pth")
	return WeightSet{
		Name:          name,
		Digest:        digest,
		Licence:       "BSD-3-Clause",
		Provenance:    "torchvision, " + version,
		URL:           "https://download.pytorch.org/models/" + file,
		Top1:          top1,
		Top5:          top5,
		Figures:       "torchvision 0.23, " + version,
		Classes:       weights.ImageNetClasses,
		Preprocessing: pixels,
	}
}

// imageNetPixels are pixels as most of torchvision's weights want them.
func imageNetPixels(size, resize int, filter string) record.Preprocessing {
	return centrePixels("imagenet", size, resize, filter)
}
