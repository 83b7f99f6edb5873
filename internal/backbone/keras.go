package backbone

import (
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/tlpipe/tlpipe/internal/backbone/weights"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// kerasSet is the weight set of keras.applications in the file of that path and MD5, which stands in
// its source. The figures are those of its table of models, for the centre of each picture.
func kerasSet(name, model, file, md5 string, top1, top5 float64, pixels record.Preprocessing) WeightSet {
	return WeightSet{
		Name:          name,
		Variant:       "keras",
		MD5:           md5,
		Licence:       "Apache-2.0",
		Provenance:    "keras.applications, " + model + ", trained by Google",
		URL:           "https://storage.googleapis.com/" + file,
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
	return centrePixels("inception", size, resize, record.FilterBilinear)
}

// caffePixels are pixels less their means, blue first, as the networks that came from Caffe want them.
func caffePixels(size, resize int) record.Preprocessing {
	return centrePixels("caffe", size, resize, record.FilterBilinear)
}

// kerasNumbers names layers as Keras does those that have no name, with numbers as they come: conv2d,
// conv2d_1, …; batch_normalization, batch_normalization_1, …. Convolutions that have names are among
// the given, and so are their batch-norms.
func kerasNumbers(build func(*nn.Builder, nn.Value), given map[string]string) func(string) string {
	names := sync.OnceValue(func() map[string]string {
		names := maps.Clone(given)
		b := nn.NewBuilder()
		build(b, b.Input("image", 75, 75, 3))
		net, err := b.Network()
		if err != nil {
			return nil // not so: networks of this size are built in the tests
		}
		units := 0
		for _, l := range net.Layers() {
			if _, conv := l.Op.(nn.Conv); !conv || names[l.Name] != "" {
				continue
			}
			names[l.Name] = numbered("conv2d", units)
			names[strings.TrimSuffix(l.Name, "conv")+"bn"] = numbered("batch_normalization", units)
			units++
		}
		return names
	})
	return func(layer string) string { return names()[layer] }
}

// numbered is a name that Keras gives to the layer of that number of its kind, from 0.
func numbered(name string, number int) string {
	if number == 0 {
		return name
	}
	return fmt.Sprintf("%s_%d", name, number)
}
