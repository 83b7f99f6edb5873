package augment

import (
	"errors"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Params are the parameters of the stage. What is 0 or absent is not done.
type Params struct {
	Copies     int         `yaml:"copies" min:"0" max:"1000" doc:"augmented copies of each image, in addition to the image itself"`
	Splits     []string    `yaml:"splits" enum:"train,val,test" doc:"the splits to augment; others are passed on unchanged"`
	Flip       string      `yaml:"flip" enum:"none,horizontal,vertical,both" doc:"flip each copy with probability 0.5 along the axis, or along each of both"`
	Rotate     float64     `yaml:"rotate" min:"0" max:"0.5" doc:"rotate by up to this fraction of a full turn in either direction: 0.1 is 36 degrees"`
	Zoom       float64     `yaml:"zoom" min:"0" max:"0.9" doc:"scale by a factor within 1 ± this value"`
	Translate  float64     `yaml:"translate" min:"0" max:"1" doc:"shift by up to this fraction of the width and of the height"`
	Fill       string      `yaml:"fill" enum:"nearest,reflect,background" doc:"how to fill the area that the image no longer covers: with its nearest pixels, its reflection, or the mean colour of the normalisation"`
	Crop       *Crop       `yaml:"crop" doc:"crop a region of random size and aspect ratio, and resize it to the full size"`
	Brightness float64     `yaml:"brightness" min:"0" max:"1" doc:"multiply by a factor within 1 ± this value"`
	Contrast   float64     `yaml:"contrast" min:"0" max:"1" doc:"scale the distance from the mean grey by a factor within 1 ± this value"`
	Saturation float64     `yaml:"saturation" min:"0" max:"1" doc:"scale the distance from each pixel's grey by a factor within 1 ± this value"`
	Hue        float64     `yaml:"hue" min:"0" max:"0.5" doc:"shift the hue by up to this fraction of the colour circle in either direction"`
	Grey       float64     `yaml:"grey" min:"0" max:"1" doc:"probability of conversion to greyscale"`
	Blur       *Blur       `yaml:"blur" doc:"Gaussian blur"`
	Erase      *Erase      `yaml:"erase" doc:"random erasing of a rectangle (Zhong et al. 2017, arXiv:1708.04896)"`
	Background *Background `yaml:"background" doc:"replace the background of pictures whose subject is on a single colour: texture, colour, or a mapping with the probability"`
	Sound      *Sound      `yaml:"sound" doc:"variations of spectrograms, which the stage audio draws"`
	Rand       *Rand       `yaml:"rand_augment" doc:"RandAugment (Cubuk et al. 2019, arXiv:1909.13719)"`
}

// Crop takes a part of the picture: Scale is its share of the area, Ratio its
// width over its height.
type Crop struct {
	Scale Range `yaml:"scale" doc:"fraction of the area, [low, high]"`
	Ratio Range `yaml:"ratio" doc:"aspect ratio, width over height, [low, high]"`
}

// Blur is a Gaussian blur of a random width.
type Blur struct {
	Probability float64 `yaml:"probability" min:"0" max:"1" doc:"of blurring a copy"`
	Sigma       Range   `yaml:"sigma" doc:"standard deviation in pixels, [low, high]"`
}

// Erase paints a rectangle over in the mean colour.
type Erase struct {
	Probability float64 `yaml:"probability" min:"0" max:"1" doc:"of erasing from a copy"`
	Scale       Range   `yaml:"scale" doc:"fraction of the area, [low, high]"`
	Ratio       Range   `yaml:"ratio" doc:"aspect ratio, height over width, [low, high]"`
}

// Rand is RandAugment: N operations drawn from its list, all at magnitude M.
type Rand struct {
	N int `yaml:"n" min:"1" max:"14" doc:"operations per copy"`
	M int `yaml:"m" min:"0" max:"30" doc:"magnitude of each operation"`
}

// Range is an interval, [low, high].
type Range []float64

func (r Range) check(path string, least float64) error {
	if len(r) != 2 || r[0] > r[1] || r[0] < least {
		return pipeline.ParamErrorHint(path, "such as [0.5, 1]", "expected [low, high] with %v ≤ low ≤ high, found %v", least, []float64(r))
	}
	return nil
}

// Kind declares the stage.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "augment",
		Summary: "augmented copies of the training images",
		Doc: "Adds randomly rotated, shifted, cropped and recoloured copies of each training image; the image itself is copy 0, and " +
			"images of other splits are passed on unchanged. The random choices for a copy depend only on the seed, the image's " +
			"pixels and the number of the copy. Images must be stored as uint8, the default of preprocess.",
		Example: `varied:
  uses: augment
  from: images
  with: {copies: 4, flip: horizontal, rotate: 0.1, zoom: 0.1}
`,
		Version: 2,
		Seeded:  true,
		Inputs:  []pipeline.Port{{Name: "images", Kind: pipeline.Images, Doc: "images"}},
		Outputs: []pipeline.Port{{Name: "images", Kind: pipeline.Images, Doc: "the images and their copies, distinguished by the column copy"}},
	}, Params{Copies: 1, Splits: []string{record.Train}, Flip: "none", Fill: "nearest"}, build)
}

type stage struct {
	params Params
	size   int64 // bytes of a picture; 0 if Check could not know
}

func build(p Params) (pipeline.Stage, error) {
	var errs []error
	if p.Crop != nil {
		p.Crop.Scale, p.Crop.Ratio = orDefault(p.Crop.Scale, 0.08, 1), orDefault(p.Crop.Ratio, 3./4, 4./3)
		errs = append(errs, p.Crop.Scale.check("crop.scale", 1e-4), p.Crop.Ratio.check("crop.ratio", 1e-2))
	}
	if p.Blur != nil {
		p.Blur.Sigma = orDefault(p.Blur.Sigma, 0.1, 2)
		errs = append(errs, p.Blur.Sigma.check("blur.sigma", 0.01))
	}
	if p.Erase != nil {
		p.Erase.Scale, p.Erase.Ratio = orDefault(p.Erase.Scale, 0.02, 0.33), orDefault(p.Erase.Ratio, 0.3, 3.3)
		errs = append(errs, p.Erase.Scale.check("erase.scale", 1e-4), p.Erase.Ratio.check("erase.ratio", 1e-2))
	}
	if p.Sound != nil {
		own := *p.Sound
		errs = append(errs, own.check())
		p.Sound = &own
	}
	if p.Rand != nil && p.Rand.N == 0 {
		errs = append(errs, pipeline.ParamErrorHint("rand_augment", "such as {n: 2, m: 9}", "n, the number of operations, is missing"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &stage{params: p}, nil
}

func orDefault(r Range, low, high float64) Range {
	if r == nil {
		return Range{low, high}
	}
	return r
}

// Passes implements pipeline.Passing: rows are passed on with all their columns, and copies of them.
func (s *stage) Passes() (copies bool) { return true }

// Numerics implements pipeline.Numeric: places and colours are computed in float64 before they are rounded
// to bytes, and compilers for some processors round a product and a sum in one step.
func (*stage) Numerics() string { return kernel.ScalarNumerics() }

// Columns implements pipeline.RowWise: copies come of the pixels alone, and only
// pictures of the splits in question have any.
func (s *stage) Columns(in *arrow.Schema) (pipeline.Columns, error) {
	if _, _, err := record.Column(in, record.Copy); err == nil {
		return pipeline.Columns{}, errors.New("the images are already augmented: a pipeline path can have one augment stage only")
	}
	splits := s.params.Splits
	if s.params.Copies == 0 {
		splits = nil
	}
	return pipeline.Columns{
		Reads: []string{record.Image},
		Where: &pipeline.Where{Column: record.Split, Values: splits},
		Keeps: true,
		Adds:  []arrow.Field{copyField},
	}, nil
}

var copyField = arrow.Field{Name: record.Copy, Type: arrow.PrimitiveTypes.Int32}

// Check implements pipeline.Stage: pixels stay prepared as they were.
func (s *stage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	var traits pipeline.Traits
	for _, t := range inputs["images"] {
		traits = t
	}
	s.size = sizeOf(traits)
	if s.params.Sound != nil {
		if p, err := record.ParsePreprocessing(traits[record.PreprocessingKey]); err != nil || p.Sound == (record.Spectrogram{}) {
			return nil, pipeline.ParamErrorHint("sound", "a stage audio draws them", "the images are no spectrograms")
		}
	}
	return map[string]pipeline.Traits{"images": traits}, nil
}
