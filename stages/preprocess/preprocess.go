package preprocess

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Params are the parameters of the stage.
type Params struct {
	Source     Sources       `yaml:"source" recipe:"-" required:"true" doc:"where the images come from: one source, or a list"`
	Target     *Target       `yaml:"target" recipe:"-" doc:"what to predict, if not the label: a column with a class, {classes: tags, separator: \";\"}, or {numbers: [age]}"`
	Split      Split         `yaml:"split" recipe:"-" doc:"how rows are split into train, val and test"`
	For        string        `yaml:"for" recipe:"-" doc:"a backbone, or BACKBONE:WEIGHTS: the size, resize rule and normalisation of its default weights, or of that weight set"`
	Size       Size          `yaml:"size" recipe:"-" doc:"height and width in pixels, one number or [height, width]; 224 if neither this nor for is given"`
	Resize     string        `yaml:"resize" recipe:"-" enum:"shortest,squash,letterbox" doc:"scale the shorter side and crop the centre; scale both sides; or scale to fit inside and pad"`
	ResizeTo   int           `yaml:"resize_to" recipe:"-" min:"1" max:"16384" doc:"shortest: length of the shorter side before the crop; 8/7 of the size if not given"`
	Filter     string        `yaml:"filter" recipe:"-" enum:"bilinear,bicubic,lanczos" doc:"how pixels are interpolated; antialiased"`
	Normalise  Normalisation `yaml:"normalise" recipe:"-" doc:"imagenet, inception, clip, caffe, none, or {mean, std, channels}"`
	Background string        `yaml:"background" doc:"background colour for transparent images and letterbox padding"`
	Store      string        `yaml:"store" enum:"uint8,float16,float32" doc:"how pixels are stored: uint8, to be normalised later, or floats, already normalised"`
	MaxPixels  int           `yaml:"max_pixels" min:"1" doc:"reject images with more pixels: a few kB of PNG can decode to gigabytes"`
}

// Size is a height and a width in pixels; 0 if not given.
type Size struct {
	Height int `yaml:"height" min:"0" max:"16384" doc:"pixels"`
	Width  int `yaml:"width" min:"0" max:"16384" doc:"pixels"`
}

// DecodeParam implements params.Decoder: one number, two in a list, or a
// mapping.
func (s *Size) DecodeParam(d *params.Decoding, node *yaml.Node) {
	var sides []int
	switch node.Kind {
	case yaml.ScalarNode:
		sides = make([]int, 1)
		d.Into(node, &sides[0])
		sides = append(sides, sides[0])
	case yaml.SequenceNode:
		d.Into(node, &sides)
	default:
		type plain Size
		d.Into(node, (*plain)(s))
		sides = []int{s.Height, s.Width}
	}
	if len(sides) != 2 || sides[0] < 1 || sides[1] < 1 || sides[0] > 1<<14 || sides[1] > 1<<14 {
		d.Errorf(node, "such as 224, or [224, 320]", "a size is a height and a width from 1 to 16384 pixels")
		return
	}
	s.Height, s.Width = sides[0], sides[1]
}

// ParamSchema implements params.Schemer.
func (Size) ParamSchema(inner map[string]any) map[string]any {
	number := map[string]any{"type": "integer", "minimum": 1}
	return map[string]any{"anyOf": []any{number, map[string]any{"type": "array", "items": number, "minItems": 2, "maxItems": 2}, inner}}
}

// Normalisation is a name, or mean and standard deviation of values in 0 … 1.
type Normalisation struct {
	Name     string    `yaml:"name" doc:"imagenet, inception, clip, caffe or none"`
	Mean     []float64 `yaml:"mean" doc:"of each channel"`
	Std      []float64 `yaml:"std" doc:"of each channel"`
	Channels string    `yaml:"channels" enum:"rgb,bgr" doc:"their order"`
}

// DecodeParam implements params.Decoder: a name, or a mapping.
func (n *Normalisation) DecodeParam(d *params.Decoding, node *yaml.Node) {
	if node.Kind == yaml.ScalarNode {
		names := []string{"imagenet", "inception", "clip", "caffe", "none"}
		if _, _, _, ok := record.Normalisation(node.Value); !ok {
			d.Errorf(node, params.DidYouMean(node.Value, names), "there is no normalisation %q", node.Value)
		}
		*n = Normalisation{Name: node.Value}
		return
	}
	type plain Normalisation
	d.Into(node, (*plain)(n))
	if n.Name == "" && (len(n.Mean) != 3 || len(n.Std) != 3) {
		d.Errorf(node, "such as {mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}", "mean and std have three values each")
	}
	for _, x := range n.Std {
		if x <= 0 {
			d.Errorf(node, "", "std must be above 0")
		}
	}
}

// ParamSchema implements params.Schemer.
func (Normalisation) ParamSchema(inner map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{"enum": []string{"imagenet", "inception", "clip", "caffe", "none"}}, inner}}
}

// Kind declares the stage.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "preprocess",
		Summary: "read images from folders, tables and archives, resize and normalise them for a backbone",
		Doc: "Lists one or several sources, splits the rows into train, val and test, and turns each image into a tensor. Reads " +
			"JPEG, PNG, GIF, WebP, BMP and TIFF; applies the orientation, flattens transparency, and converts to 8 bits a channel. " +
			"`for: BACKBONE` selects the preprocessing that its weights were trained with; size, resize, filter and normalise " +
			"override single settings. An image that cannot be read is rejected with a reason, and the rest of the work continues. " +
			"target sets what to predict if it is not the label: multiple classes, or numbers. Relative paths start at the pipeline " +
			"file's folder.",
		Example: `images:
  uses: preprocess
  with:
    source: {folder: data/flowers}
    for: efficientnet_lite0
    split: {train: 0.7, val: 0.15, test: 0.15}
`,
		Version: 5,
		Outputs: []pipeline.Port{{Name: "images", Kind: pipeline.Images, Doc: "id, image, label, split, domain, image_width and image_height as it was read, target if one is set, and any other columns of the source"}},
	}, Params{Split: defaultSplit, Background: "#ffffff", Store: "uint8", MaxPixels: 100_000_000}, build)
}

// stage is the kind with its parameters filled in.
type stage struct {
	params      Params
	prepared    record.Preprocessing
	preparation *picture.Preparation // carries out what prepared tells
	content     dataset.Content      // what the files hold
	dir         string
}

func build(p Params) (pipeline.Stage, error) {
	s := &stage{params: p}
	errs := p.Source.check()
	errs = append(errs, p.Split.check(), p.Target.check())
	var err error
	if s.prepared, err = p.preprocessing(); err != nil {
		errs = append(errs, err)
	}
	background, err := picture.ParseColour(p.Background)
	if err != nil {
		errs = append(errs, pipeline.ParamError("background", "%v", err))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if background != picture.White {
		s.prepared.Background = p.Background
	}
	if s.preparation, err = picture.Prepare(s.prepared.Transforms()); err != nil {
		return nil, err
	}
	return s, nil
}

// preprocessing is what `for` says, changed by what is said beside it.
func (p Params) preprocessing() (record.Preprocessing, error) {
	out := record.Preprocessing{Height: 224, Width: 224, Resize: record.ResizeShortest, ResizeTo: 256, Filter: record.FilterBilinear}
	out.Mean, out.Std, out.Channels, _ = record.Normalisation("imagenet")
	out.Normalise = "imagenet"
	if p.For != "" {
		b, set, err := backbone.FindSet(p.For)
		if unknown := new(backbone.UnknownError); errors.As(err, &unknown) {
			hint := "`tlpipe models list` lists them"
			if unknown.Hint != "" {
				hint = unknown.Hint
			}
			return out, pipeline.ParamErrorHint("for", hint, "there is no backbone %q", unknown.Name)
		}
		if err != nil {
			return out, pipeline.ParamErrorHint("for", "a backbone, or BACKBONE:WEIGHTS", "%v", err)
		}
		if out = b.Preprocessing(); set.Name != "" {
			out = b.For(set)
		}
	}
	if p.Size != (Size{}) {
		// The margin that is cropped away stays in proportion.
		margin := float64(out.ResizeTo) / float64(min(out.Height, out.Width))
		out.Height, out.Width = p.Size.Height, p.Size.Width
		out.ResizeTo = int(float64(min(out.Height, out.Width))*margin + 0.5)
	}
	if p.Resize != "" {
		out.Resize = p.Resize
	}
	if p.ResizeTo > 0 {
		out.ResizeTo = p.ResizeTo
	}
	switch {
	case out.Resize != record.ResizeShortest:
		out.ResizeTo = 0
	case out.ResizeTo == 0: // the backbone's own rule has no margin
		out.ResizeTo = (8*min(out.Height, out.Width) + 3) / 7
	}
	if p.Filter != "" {
		out.Filter = p.Filter
	}
	switch n := p.Normalise; {
	case n.Name != "":
		out.Mean, out.Std, out.Channels, _ = record.Normalisation(n.Name)
		out.Normalise = n.Name
	case n.Mean != nil:
		out.Channels, out.Normalise = "rgb", "custom"
		if n.Channels != "" {
			out.Channels = n.Channels
		}
		for i := range out.Mean {
			out.Mean[i], out.Std[i] = float32(n.Mean[i]), float32(n.Std[i])
		}
	}
	return out, nil
}

// Locate implements pipeline.Located.
func (s *stage) Locate(dir string) { s.dir = dir }

// Check implements pipeline.Stage.
func (s *stage) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	return map[string]pipeline.Traits{"images": {record.PreprocessingKey: s.prepared.Encode(), record.TaskKey: string(s.params.Target.task())}}, nil
}

// pixels is how pixels are prepared, without the name of the backbone that
// they are for: backbones whose weights want the same share the same tables.
func (s *stage) pixels() record.Preprocessing {
	p := s.prepared
	p.For = ""
	return p
}

// Identity implements pipeline.Identified: how the pixels are prepared, however
// that was asked for.
func (s *stage) Identity() (map[string]string, error) {
	p := s.pixels()
	identity := map[string]string{
		"size":      fmt.Sprintf("%d×%d", p.Height, p.Width),
		"resize":    p.Resize,
		"resize_to": fmt.Sprint(p.ResizeTo),
		"filter":    p.Filter,
		"normalise": fmt.Sprintf("%s: %s, mean %v, std %v", p.Normalise, p.Channels, p.Mean, p.Std),
	}
	if s.content == dataset.Sounds {
		identity["sound"] = record.SpectrogramStep{Spectrogram: p.Sound}.String() + fmt.Sprintf(", recordings of up to %g s", p.Sound.MaxSeconds)
	}
	return identity, nil
}

// Columns implements pipeline.RowWise: pixels come of a file's bytes and the look of its source alone.
// Labels, splits and whatever else the source says of a row are passed on, and
// may change without a picture being read again.
func (s *stage) Columns(in *arrow.Schema) (pipeline.Columns, error) {
	read := []string{dataset.ContentColumn}
	if in.HasField(dataset.LookColumn) {
		read = append(read, dataset.LookColumn)
	}
	return pipeline.Columns{Reads: read, Drops: read}, nil
}

// List implements pipeline.Source.
func (s *stage) List(ctx context.Context, env *pipeline.Env) (pipeline.Listing, error) {
	table, err := dataset.List(ctx, env.Files, max(env.Threads, listers), s.params.Source.parts(s.dir))
	if err != nil {
		return pipeline.Listing{}, err
	}
	if len(table.All)+len(table.Rejects) == 0 {
		for _, note := range table.Notes {
			env.Log("%s", note)
		}
		what := "images"
		if s.content != dataset.Pictures {
			what = s.content.Many()
		}
		return pipeline.Listing{}, fmt.Errorf("there are no %s in %s", what, s.params.Source.describe(s.dir))
	}
	table.Content = s.content
	overview, err := divideListing(table, s.params.Target, s.params.Split)
	if err != nil {
		return pipeline.Listing{}, err
	}
	if s.content == dataset.Pictures {
		overview.Sizes = sizes(ctx, s.params.Source.parts(s.dir), table)
	}
	overview.Notes = append(overview.Notes, s.params.Split.notes(table)...)
	return pipeline.Listing{Rows: table.Record(), Rejects: table.Rejects, Overview: overview}, nil
}

// listers is how many files are digested at once, at least: disks are
// quickest with some requests under way.
const listers = 4

// Open implements pipeline.RowWise.
func (s *stage) Open(_ context.Context, env *pipeline.Env, _ map[string][]pipeline.Input) (pipeline.Mapper, error) {
	set, err := dataset.Open(s.params.Source.parts(s.dir))
	if err != nil {
		return nil, fmt.Errorf("open the sources: %w", err)
	}
	return newMapper(s, set, max(env.Threads, 1)), nil
}
