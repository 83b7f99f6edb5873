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
	Copies     int      `yaml:"copies" min:"0" max:"1000" doc:"varied copies of each picture, beside the picture itself"`
	Splits     []string `yaml:"splits" enum:"train,val,test" doc:"the splits whose pictures are varied; others pass through"`
	Flip       string   `yaml:"flip" enum:"none,horizontal,vertical,both" doc:"mirror every second copy, along one axis or each"`
	Rotate     float64  `yaml:"rotate" min:"0" max:"0.5" doc:"turn by up to this share of a full turn, either way: 0.1 is 36 degrees"`
	Zoom       float64  `yaml:"zoom" min:"0" max:"0.9" doc:"scale by a factor of up to 1 ± this"`
	Translate  float64  `yaml:"translate" min:"0" max:"1" doc:"move by up to this share of the width and of the height"`
	Fill       string   `yaml:"fill" enum:"nearest,reflect,background" doc:"what stands where the picture was moved away from: its edge drawn out, its mirror image, or its mean colour by the normalisation"`
	Crop       *Crop    `yaml:"crop" doc:"crop a part of random size and shape, and scale it to the whole"`
	Brightness float64  `yaml:"brightness" min:"0" max:"1" doc:"multiply by a factor of up to 1 ± this"`
	Contrast   float64  `yaml:"contrast" min:"0" max:"1" doc:"spread about the mean grey by a factor of up to 1 ± this"`
	Saturation float64  `yaml:"saturation" min:"0" max:"1" doc:"spread about each pixel's grey by a factor of up to 1 ± this"`
	Hue        float64  `yaml:"hue" min:"0" max:"0.5" doc:"turn the hue by up to this share of the colour circle, either way"`
	Grey       float64  `yaml:"grey" min:"0" max:"1" doc:"probability of taking the colours away"`
	Blur       *Blur    `yaml:"blur" doc:"blur by a Gaussian"`
	Erase      *Erase   `yaml:"erase" doc:"paint over a rectangle (Zhong et al. 2017, arXiv:1708.04896)"`
	Rand       *Rand    `yaml:"rand_augment" doc:"RandAugment (Cubuk et al. 2019, arXiv:1909.13719)"`
}

// Crop takes a part of the picture: Scale is its share of the area, Ratio its
// width over its height.
type Crop struct {
	Scale Range `yaml:"scale" doc:"share of the area, [low, high]"`
	Ratio Range `yaml:"ratio" doc:"width over height, [low, high]"`
}

// Blur is a Gaussian blur of a random width.
type Blur struct {
	Probability float64 `yaml:"probability" min:"0" max:"1" doc:"of blurring a copy"`
	Sigma       Range   `yaml:"sigma" doc:"standard deviation in pixels, [low, high]"`
}

// Erase paints a rectangle over in the mean colour.
type Erase struct {
	Probability float64 `yaml:"probability" min:"0" max:"1" doc:"of erasing from a copy"`
	Scale       Range   `yaml:"scale" doc:"share of the area, [low, high]"`
	Ratio       Range   `yaml:"ratio" doc:"height over width, [low, high]"`
}

// Rand is RandAugment: N operations drawn from its list, all at magnitude M.
type Rand struct {
	N int `yaml:"n" min:"1" max:"14" doc:"operations a copy"`
	M int `yaml:"m" min:"0" max:"30" doc:"magnitude of each"`
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
		Summary: "varied copies of the training pictures",
		Doc: "Adds copies of each training picture that were turned, moved, cropped and coloured at random; the picture itself is " +
			"copy 0, and pictures of other splits pass through. What chance chose for a copy depends on the seed, the picture's pixels " +
			"and the copy's number alone. Pictures must rest as uint8, which is how preprocess stores them by default.",
		Example: `varied:
  uses: augment
  from: images
  with: {copies: 4, flip: horizontal, rotate: 0.1, zoom: 0.1}
`,
		Version: 2,
		Seeded:  true,
		Inputs:  []pipeline.Port{{Name: "images", Kind: pipeline.Images, Doc: "pictures"}},
		Outputs: []pipeline.Port{{Name: "images", Kind: pipeline.Images, Doc: "the pictures and their copies, told apart by the column copy"}},
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

// Numerics implements pipeline.Numeric: places and colours are computed in float64 before they are rounded
// to bytes, and compilers for some processors round a product and a sum in one step.
func (*stage) Numerics() string { return kernel.ScalarNumerics() }

// Columns implements pipeline.RowWise: copies come of the pixels alone, and only
// pictures of the splits in question have any.
func (s *stage) Columns(in *arrow.Schema) (pipeline.Columns, error) {
	if _, _, err := record.Column(in, record.Copy); err == nil {
		return pipeline.Columns{}, errors.New("the pictures are augmented already: one augment stage is enough")
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
	return map[string]pipeline.Traits{"images": traits}, nil
}
