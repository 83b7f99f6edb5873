package preprocess

import (
	"cmp"
	"errors"
	"math"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// AudioParams are the parameters of the kind audio.
type AudioParams struct {
	Source AudioSources `yaml:"source" recipe:"-" required:"true" doc:"where the sounds come from: one source, or a list"`
	Target *Target      `yaml:"target" recipe:"-" doc:"what to predict, if not the label: a column with a class, {classes: tags, separator: \";\"}, or {numbers: [age]}"`
	Split  Split        `yaml:"split" recipe:"-" doc:"how rows are split into train, val and test"`
	For    string       `yaml:"for" recipe:"-" doc:"a backbone, or BACKBONE:WEIGHTS: the size and normalisation of its default weights, or of that weight set"`

	Seconds    float64       `yaml:"seconds" recipe:"-" above:"0" max:"3600" doc:"length that is kept of each recording; shorter ones are filled with silence"`
	Take       string        `yaml:"take" recipe:"-" enum:"start,middle,loudest" doc:"what is kept of longer recordings"`
	MaxSeconds float64       `yaml:"max_seconds" recipe:"-" above:"0" max:"86400" doc:"reject recordings that are longer"`
	Rate       int           `yaml:"rate" recipe:"-" min:"1000" max:"192000" doc:"samples per second; recordings are resampled to it"`
	Window     time.Duration `yaml:"window" recipe:"-" doc:"length of a frame of the spectrogram"`
	Hop        time.Duration `yaml:"hop" recipe:"-" doc:"time between the starts of frames; if not given, such that the spectrogram is as wide as it is high, and at most half the window"`
	Mels       int           `yaml:"mels" recipe:"-" min:"1" max:"512" doc:"number of mel bands"`
	Low        float64       `yaml:"low" recipe:"-" min:"0" doc:"lowest frequency in Hz"`
	High       float64       `yaml:"high" recipe:"-" min:"0" doc:"highest frequency in Hz; half the rate if not given"`
	Decibels   float64       `yaml:"decibels" recipe:"-" above:"0" max:"200" doc:"range from black to white, the loudest value of each recording"`

	Size      Size          `yaml:"size" recipe:"-" doc:"height and width to which the spectrogram is scaled, in pixels; that of the backbone, or 224"`
	Filter    string        `yaml:"filter" recipe:"-" enum:"bilinear,bicubic,lanczos" doc:"how it is scaled"`
	Normalise Normalisation `yaml:"normalise" recipe:"-" doc:"imagenet, inception, clip, caffe, none, or {mean, std, channels}"`
	Store     string        `yaml:"store" enum:"uint8,float16,float32" doc:"how pixels are stored: uint8, to be normalised later, or floats, already normalised"`
}

// AudioSource is a source of sounds as YAML spells it: exactly one of Folder, CSV and Builtin.
type AudioSource struct {
	Folder  string `yaml:"folder" recipe:"-" doc:"a folder with one sub-folder per class, or with sub-folders train, val and test of that form"`
	CSV     string `yaml:"csv" recipe:"-" doc:"a table with a header: path, and optionally label, split, domain and other columns"`
	Builtin string `yaml:"builtin" recipe:"-" enum:"drums" doc:"drums: 94 sounds of half a second, six instruments, built into tlpipe"`

	Layout  string              `yaml:"layout" recipe:"-" enum:"auto,classes,splits" doc:"of a folder: whether its sub-folders are classes or splits"`
	Root    string              `yaml:"root" recipe:"-" doc:"of a CSV: where relative paths in it start; its own folder if not given"`
	Columns map[string]string   `yaml:"columns" recipe:"-" doc:"of a CSV: which columns hold id, path, label, split, domain, where their names differ"`
	Comma   string              `yaml:"separator" recipe:"-" doc:"of a CSV: the separator; a tab for .tsv, else a comma"`
	Domain  string              `yaml:"domain" recipe:"-" doc:"the domain of all its rows; it becomes part of their ids"`
	Label   string              `yaml:"label" recipe:"-" doc:"the label of all its rows"`
	Split   string              `yaml:"split" recipe:"-" enum:"train,val,test" doc:"the split of all its rows"`
	Only    map[string][]string `yaml:"only" recipe:"-" doc:"keep the rows whose column has one of these values: {label: [kick, snare]}"`
	Limit   int                 `yaml:"limit" recipe:"-" min:"0" doc:"maximum number of rows, selected by a hash of their ids; 0 keeps all"`
	Limits  Limits              `yaml:"limits" recipe:"-" doc:"limits on the resources for listing it; raise them for trusted data that exceeds the defaults"`
}

// AudioSources is one source or a list.
type AudioSources []AudioSource

// DecodeParam implements params.Decoder: a single source needs no brackets.
func (s *AudioSources) DecodeParam(d *params.Decoding, node *yaml.Node) {
	var list []AudioSource
	d.Into(node, &list)
	*s = list
}

// sources are the same as sources of files, whose content is sound.
func (s AudioSources) sources() Sources {
	out := make(Sources, len(s))
	for i, one := range s {
		out[i] = Source{
			Folder: one.Folder, CSV: one.CSV, Builtin: one.Builtin, Layout: one.Layout, Root: one.Root, Columns: one.Columns, Comma: one.Comma,
			Domain: one.Domain, Label: one.Label, Split: one.Split, Only: one.Only, Limit: one.Limit, Limits: one.Limits, content: dataset.Sounds,
		}
	}
	return out
}

// Audio declares the kind audio.
func Audio() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "audio",
		Summary: "read sounds from folders and tables, and draw their spectrograms for a backbone of images",
		Doc: "Lists one or several sources and splits the rows into train, val and test as preprocess does. Reads WAV, FLAC and MP3; " +
			"mixes the channels to one, resamples, keeps `seconds` of each recording, and draws its log-mel spectrogram as an image: time from " +
			"left to right, frequency from bottom to top. What follows treats it as any other image, so every backbone takes it. Silent recordings, " +
			"those longer than max_seconds and files that cannot be read are rejected with a reason.",
		Example: `sounds:
  uses: audio
  with:
    source: {folder: recordings}
    for: efficientnet_lite0
    seconds: 2
`,
		Version: 1,
		Outputs: []pipeline.Port{{Name: "images", Kind: pipeline.Images, Doc: "id, image (the spectrogram), label, split, domain, target if one is set, and any other columns of the source"}},
	}, AudioParams{
		Split: defaultSplit, Seconds: 5, Take: record.TakeStart, MaxSeconds: 600, Rate: 22050, Window: 25 * time.Millisecond, Mels: 128, Low: 20, Decibels: 80, Store: "uint8",
	}, func(p AudioParams) (pipeline.Stage, error) {
		s := &stage{params: Params{Source: p.Source.sources(), Target: p.Target, Split: p.Split, Store: p.Store}, content: dataset.Sounds}
		errs := s.params.Source.check()
		errs = append(errs, p.Split.check(), p.Target.check())
		var err error
		if s.prepared, err = p.preprocessing(); err != nil {
			errs = append(errs, err)
		}
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
		if s.preparation, err = picture.Prepare(s.prepared.Transforms()); err != nil {
			return nil, pipeline.ParamErrorHint("mels", "take fewer bands, a longer window, or a lower `high`", "%v", err)
		}
		return s, nil
	})
}

// preprocessing is that of pictures, which are drawn of sound.
func (p AudioParams) preprocessing() (record.Preprocessing, error) {
	out, err := Params{For: p.For, Size: p.Size, Resize: record.ResizeSquash, Filter: p.Filter, Normalise: p.Normalise}.preprocessing()
	if err != nil {
		return out, err
	}
	samples := func(d time.Duration) int { return int(math.Round(d.Seconds() * float64(p.Rate))) }
	sound := record.Spectrogram{
		Rate: p.Rate, Seconds: p.Seconds, Take: p.Take, MaxSeconds: p.MaxSeconds, Window: samples(p.Window), Hop: samples(p.Hop), Mels: p.Mels,
		Low: p.Low, High: cmp.Or(p.High, float64(p.Rate)/2), Decibels: p.Decibels,
	}
	if p.Hop == 0 {
		sound.Hop = max(1, min(sound.Samples()/max(out.Width-1, 1), sound.Window/2))
	}
	var errs []error
	if p.Seconds > p.MaxSeconds {
		errs = append(errs, pipeline.ParamErrorHint("seconds", "raise max_seconds, or lower this", "%g s are kept, but recordings of more than the %g s of max_seconds are rejected", p.Seconds, p.MaxSeconds))
	}
	if p.Hop > p.Window {
		errs = append(errs, pipeline.ParamErrorHint("hop", "such as 10ms", "frames of %v every %v leave gaps", p.Window, p.Hop))
	}
	if sound.Window < 2 || sound.Window > 1<<16 {
		errs = append(errs, pipeline.ParamErrorHint("window", "such as 25ms", "a window of %v at %d Hz has %d samples, not 2 to 65536", p.Window, p.Rate, sound.Window))
	}
	if sound.Hop < 1 {
		errs = append(errs, pipeline.ParamErrorHint("hop", "such as 10ms", "a hop of %v at %d Hz has no sample", p.Hop, p.Rate))
	}
	if sound.High <= float64(p.Rate)/2 && sound.Low >= sound.High {
		errs = append(errs, pipeline.ParamErrorHint("low", "below high", "the bands lie from %g to %g Hz", sound.Low, sound.High))
	}
	if sound.High > float64(p.Rate)/2 {
		errs = append(errs, pipeline.ParamErrorHint("high", "raise rate, or lower this", "sound at %d Hz has frequencies up to %g Hz, and the bands end at %g Hz", p.Rate, float64(p.Rate)/2, sound.High))
	}
	if len(errs) == 0 {
		if err := sound.Check(); err != nil {
			errs = append(errs, err)
		}
	}
	out.Sound = sound
	return out, errors.Join(errs...)
}

// soundMemory is about what reading a file of so many bytes takes: samples of compressed files unpack to some ten times their size.
func soundMemory(file []byte) int64 { return min(1<<20+16*int64(len(file)), decodeMemory) }
