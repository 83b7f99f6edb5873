package predict_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/export"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/predict"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
)

// gridSize is the side of the grid of backbone pixels.
const gridSize = 16

// colours is a model that tells red pictures from blue ones by the mean of
// backbone pixels' features: the logits are the mean red and the mean blue.
func colours(t *testing.T, made *record.Extraction) *classifier.Classifier {
	t.Helper()
	const features = 3 * gridSize * gridSize
	b := nn.NewBuilder()
	var x nn.Value
	if made == nil {
		x = b.Input("image", gridSize, gridSize, 3)
		x = b.Layer("flat", nn.Flatten{}, x)
	} else {
		x = b.Input("features", features)
	}
	x = b.Layer("logits", nn.Dense{Out: 2, Bias: true}, x)
	b.Layer("probabilities", nn.Softmax{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	weight := make([]float32, 2*features)
	for i := range gridSize * gridSize {
		weight[3*i] = 1.0 / (gridSize * gridSize)
		weight[features+3*i+2] = 1.0 / (gridSize * gridSize)
	}
	mean, std, channels, _ := record.Normalisation("none")
	prepared := record.Preprocessing{
		Height: gridSize, Width: gridSize, Resize: record.ResizeSquash, Filter: record.FilterBilinear,
		Channels: channels, Mean: mean, Std: std, Normalise: "none",
	}
	return classifier.New(net, nn.Weights{
		"logits.weight": {Shape: nn.Shape{2, features}, Data: weight},
		"logits.bias":   {Shape: nn.Shape{2}, Data: []float32{0, 0}},
	}, record.SingleLabelHead("label", []string{"red", "blue"}), transforms(prepared, made))
}

// transforms make pixels, or features of them.
func transforms(p record.Preprocessing, made *record.Extraction) record.Transforms {
	if made == nil {
		return p.Transforms()
	}
	return append(p.Transforms(), record.FeaturesStep{Extraction: *made})
}

var byPixels = record.Extraction{Backbone: "pixels", Layer: "pooled", Precision: "fp32"}

// plain is a picture of one colour, as the bytes of a PNG file.
func plain(t *testing.T, width, height int, c color.Color) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		m.Set(i%width, i/width, c)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func predictor(t *testing.T, c *classifier.Classifier) *predict.Predictor {
	t.Helper()
	p, err := predict.New(c, "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPicture(t *testing.T) {
	flipped := byPixels
	flipped.Flip = true
	for name, made := range map[string]*record.Extraction{"features": &byPixels, "flipped": &flipped, "pixels": nil} {
		p := predictor(t, colours(t, made))
		got, err := p.Picture(plain(t, 50, 40, color.RGBA{204, 0, 51, 255}))
		if err != nil {
			t.Fatal(err)
		}
		// Logits 0.8 and 0.2.
		want := 1 / (1 + math.Exp(-0.6))
		if len(got) != 2 || got[0].Label != "red" || math.Abs(got[0].Probability-want) > 1e-5 || math.Abs(got[1].Probability-(1-want)) > 1e-5 {
			t.Errorf("%s: predicted %v, want red at %v", name, got, want)
		}
		got, err = p.Picture(plain(t, 3, 700, color.RGBA{0, 0, 255, 255}))
		if err != nil || got[0].Label != "blue" {
			t.Errorf("%s: predicted %v, %v, want blue", name, got, err)
		}
	}
}

// What shows through a transparent picture is what showed through in training.
func TestBackground(t *testing.T) {
	for background, want := range map[string]string{"#ff0000": "red", "#0000ff": "blue"} {
		c := colours(t, &byPixels)
		c.Description.Inputs[0].Transforms[0] = record.DecodeStep{Background: background}
		got, err := predictor(t, c).Picture(plain(t, 20, 20, color.Transparent))
		if err != nil || got[0].Label != want || got[0].Probability < 0.7 {
			t.Errorf("on %s: %v, %v", background, got, err)
		}
	}
}

// Random weights are drawn again from the seed that the model tells of.
func TestBackbone(t *testing.T) {
	mean, std, channels, _ := record.Normalisation("inception")
	prepared := record.Preprocessing{
		Height: 64, Width: 64, Resize: record.ResizeShortest, ResizeTo: 64, Filter: record.FilterBicubic,
		Channels: channels, Mean: mean, Std: std, Normalise: "inception",
	}
	model := func(seed uint64) *classifier.Classifier {
		b := nn.NewBuilder()
		x := b.Input("features", 1280)
		x = b.Layer("logits", nn.Dense{Out: 3}, x)
		b.Layer("probabilities", nn.Softmax{}, x)
		net, err := b.Network()
		if err != nil {
			t.Fatal(err)
		}
		made := record.Extraction{Backbone: "efficientnet_lite0", Weights: "random", Seed: seed, Layer: "pooled", Precision: "fp32"}
		return classifier.New(net, net.InitialiseFrozen(1), record.SingleLabelHead("label", []string{"a", "b", "c"}), transforms(prepared, &made))
	}
	file := plain(t, 80, 70, color.RGBA{10, 200, 30, 255})
	first := predictions(t, predictor(t, model(5)), file)
	if again := predictions(t, predictor(t, model(5)), file); again != first {
		t.Errorf("predicted %s, then %s", first, again)
	}
	if other := predictions(t, predictor(t, model(6)), file); other == first {
		t.Error("another seed predicts the same")
	}
}

func predictions(t *testing.T, p *predict.Predictor, file []byte) string {
	t.Helper()
	all, err := p.Picture(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	add := func(name string, content []byte) {
		path := filepath.Join(dir, name)
		paths = append(paths, path)
		if content != nil {
			if err := os.WriteFile(path, content, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 20 {
		c := color.RGBA{255, 0, 0, 255}
		if i%2 == 1 {
			c = color.RGBA{0, 0, 255, 255}
		}
		add(strings.Repeat("x", i+1)+".png", plain(t, 20+i, 30, c))
	}
	add("empty.png", []byte{})
	add("text.jpg", []byte("this is no picture"))
	add("absent.png", nil)
	add("truncated.png", plain(t, 40, 40, color.White)[:60])
	var got []string
	_, err := predictor(t, colours(t, &byPixels)).Files(context.Background(), paths, 4, func(path string, all []predict.Prediction, err error) {
		if path != paths[len(got)] {
			t.Errorf("%s comes in the place of %s", path, paths[len(got)])
		}
		if err != nil {
			got = append(got, err.Error())
		} else {
			got = append(got, all[0].Label)
		}
		if filepath.Base(path) == "absent.png" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a file that is not there: %v", err)
		}
	})
	if err != nil || len(got) != len(paths) {
		t.Fatalf("%d of %d files, %v", len(got), len(paths), err)
	}
	for i := range 20 {
		if want := []string{"red", "blue"}[i%2]; got[i] != want {
			t.Errorf("file %d is %s, want %s", i, got[i], want)
		}
	}
	for i, want := range map[int]string{20: "the file is empty", 21: "text, not a picture", 23: "not enough pixel data"} {
		if !strings.Contains(got[i], want) {
			t.Errorf("%s: %s, want %q", paths[i], got[i], want)
		}
	}
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = predictor(t, colours(t, &byPixels)).Files(stopped, paths, 2, func(string, []predict.Prediction, error) {})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("after a cancel: %v", err)
	}
}

// A model that was exported predicts the same.
func TestReadFile(t *testing.T) {
	c := colours(t, &byPixels)
	m, err := c.Model()
	if err != nil {
		t.Fatal(err)
	}
	rec, err := m.Record()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "head.safetensors")
	if _, err := export.File(context.Background(), path, pipelinetest.NewTable("head", nil, rec)); err != nil {
		t.Fatal(err)
	}
	read, err := classifier.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file := plain(t, 33, 21, color.RGBA{100, 20, 90, 255})
	if got, want := predictions(t, predictor(t, read), file), predictions(t, predictor(t, c), file); got != want {
		t.Errorf("the exported model predicts %s, not %s", got, want)
	}

	if err := os.WriteFile(path, []byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := classifier.ReadFile(path); err == nil || !strings.Contains(err.Error(), "not a model of tlpipe") {
		t.Errorf("a file without a model: %v", err)
	}
}

func TestModelsThatCannotBeUsed(t *testing.T) {
	type steps = record.Transforms
	for want, spoil := range map[string]func(s *steps, made *record.Extraction){
		"does not say how its pictures were prepared": func(s *steps, _ *record.Extraction) { *s = nil },
		"\"spectrogram\", which this version":         func(s *steps, _ *record.Extraction) { (*s)[1] = &record.UnknownStep{Name: "spectrogram"} },
		"the transform resize stands where":           func(s *steps, _ *record.Extraction) { *s = append((*s)[:1], (*s)[2:]...) },
		"there is no backbone \"resnet9000\"":         func(_ *steps, made *record.Extraction) { made.Backbone = "resnet9000" },
		"no layer":                                    func(_ *steps, made *record.Extraction) { made.Layer = "block77" },
		"precision":                                   func(_ *steps, made *record.Extraction) { made.Precision = "int3" },
		"name it with --weights": func(_ *steps, made *record.Extraction) {
			made.Backbone, made.Weights = "efficientnet_lite0", "file"
		},
		"no longer those": func(_ *steps, made *record.Extraction) {
			made.Backbone, made.Weights, made.Digest = "efficientnet_lite0", "imagenet", "abc"
		},
		"takes 768 numbers a picture, but there are": func(_ *steps, made *record.Extraction) {
			made.Backbone, made.Weights = "efficientnet_lite0", "random"
		},
	} {
		made := byPixels
		c := colours(t, &made)
		in := &c.Description.Inputs[0]
		s := in.Transforms.WithoutFeatures()
		s[2] = record.ResizeStep{Rule: record.ResizeSquash, Height: 32, Width: 32, Filter: record.FilterBilinear} // large enough for every backbone
		spoil(&s, &made)
		in.Transforms = append(slices.Clip(s), record.FeaturesStep{Extraction: made})
		if _, err := predict.New(c, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// A model of any of several classes tells the probability of each, and a model of numbers the numbers.
func TestTargets(t *testing.T) {
	several := colours(t, &byPixels)
	layers := several.Network.Layers()
	for _, c := range []struct {
		head record.Head
		last nn.Op
		want string
	}{
		{record.MultiLabelHead("label", []string{"red", "blue"}), nn.Activation{Function: kernel.Sigmoid}, `[{"label":"red","probability":0.6899`},
		{record.RegressionHead("label", []string{"redness", "blueness"}), nn.Affine{Scale: []float32{100, 10}, Shift: []float32{5, 0}}, `[{"number":"redness","value":85`},
	} {
		net, err := nn.New(append(slices.Clone(layers[:len(layers)-1]), nn.Layer{Name: "answers", Op: c.last, Inputs: []string{"logits"}}))
		if err != nil {
			t.Fatal(err)
		}
		model := classifier.New(net, several.Weights, c.head, several.Input().Transforms)
		got := predictions(t, predictor(t, model), plain(t, 50, 40, color.RGBA{204, 0, 51, 255}))
		if !strings.HasPrefix(got, c.want) || !strings.Contains(got, "blue") {
			t.Errorf("%s: predicted %s, want %s", c.head.Task, got, c.want)
		}
	}
}
