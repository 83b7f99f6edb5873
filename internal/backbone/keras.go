package backbone

import (
	"github.com/tlpipe/tlpipe/internal/backbone/weights"
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
