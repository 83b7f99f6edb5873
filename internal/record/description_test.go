package record

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
)

// described is a description with everything in it.
func described() Description {
	mean, std, channels, _ := Normalisation("caffe")
	p := Preprocessing{Height: 224, Width: 192, Resize: ResizeShortest, ResizeTo: 256, Filter: FilterBicubic, Channels: channels, Mean: mean, Std: std, Normalise: "caffe"}
	made := Extraction{Backbone: "resnet50", Weights: "imagenet", Digest: "abc", Layer: "pooled", Precision: "int8", Flip: true}
	return Description{
		Version: ModelVersion,
		Inputs: []ModelInput{
			{Name: "features", Shape: []int{2048}, Column: Feature, Transforms: append(p.Transforms(), FeaturesStep{made})},
			{Name: "other", Shape: []int{3}},
		},
		Heads: []Head{
			SingleLabelHead("label", []string{"cat", "dog"}),
			{Name: "tags", Output: "tags", Task: MultiLabel, Classes: []string{"red"}, Activation: SigmoidActivation},
			RegressionHead("age", []string{"years"}),
		},
		Origins:   []Origin{{Backbone: "resnet50", Weights: "imagenet", Digest: "abc", Licence: "BSD-3-Clause", Address: "https://example.org/x"}},
		Recipe:    &Recipe{Digest: "def", Fields: []RecipeField{{"stage", "finetune"}, {"params.epochs", "3"}}},
		Selection: &Selection{By: "val_loss", Phase: "top", Epoch: 3, Split: Validation, Rows: 12, Trained: 40, Metrics: map[string]float64{"loss": 0.1}},
	}
}

func TestDescriptionComesBack(t *testing.T) {
	d := described()
	text, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseDescription(text)
	if err != nil || !reflect.DeepEqual(back, d) {
		t.Errorf("read back as %+v, %v", back, err)
	}
	if again, err := back.Encode(); err != nil || again != text {
		t.Errorf("written again as %s, %v, not %s", again, err, text)
	}
	for _, rule := range []string{ResizeSquash, ResizeLetterbox} {
		p := Preprocessing{Height: 8, Width: 9, Resize: rule, Filter: FilterLanczos, Channels: "rgb", Std: [3]float32{1, 1, 1}, Background: "#123456"}
		text, err := json.Marshal(p.Transforms())
		if err != nil {
			t.Fatal(err)
		}
		var steps Transforms
		if err := json.Unmarshal(text, &steps); err != nil || !reflect.DeepEqual(steps, p.Transforms()) {
			t.Errorf("%s: read back as %v, %v", rule, steps, err)
		}
	}
}

// What this version does not know is kept, so that it can be told.
func TestTransformsOfLaterVersions(t *testing.T) {
	text := `[{"transform":"decode","with":{"background":"#ffffff"}},{"transform":"spectrogram","with":{"bands":80}}]`
	var steps Transforms
	if err := json.Unmarshal([]byte(text), &steps); err != nil {
		t.Fatal(err)
	}
	if u := steps.Unknown(); u == nil || u.Name != "spectrogram" {
		t.Errorf("unknown step %v of %v", u, steps)
	}
	if back, err := json.Marshal(steps); err != nil || string(back) != text {
		t.Errorf("written as %s, %v", back, err)
	}
	text = `[{"transform":"upright","with":{"unless":"scanned"}}]`
	if err := json.Unmarshal([]byte(text), &steps); err != nil || steps.Unknown() == nil {
		t.Errorf("a step with a field of a later version is %v, %v", steps, err)
	}
	_, err := ParseDescription(`{"version": 99}`)
	if newer := new(NewerModelError); !errors.As(err, &newer) || newer.Version != 99 {
		t.Errorf("a later form: %v", err)
	}
}

func TestDescriptionsThatAreRefused(t *testing.T) {
	for want, spoil := range map[string]func(d *Description){
		"no form":             func(d *Description) { d.Version = 1 },
		"no input":            func(d *Description) { d.Inputs = nil },
		"that of another":     func(d *Description) { d.Inputs[1].Name = "features" },
		"are named \"label\"": func(d *Description) { d.Heads[1].Name = "label" },
		"has no name":         func(d *Description) { d.Heads[0].Name = "" },
		"not one of":          func(d *Description) { d.Heads[0].Task = "guess" },
		"want softmax":        func(d *Description) { d.Heads[0].Activation = SigmoidActivation },
		"no classes":          func(d *Description) { d.Heads[0].Classes = nil },
		"no targets":          func(d *Description) { d.Heads[2].Targets = nil },
		"classes and targets": func(d *Description) { d.Heads[2].Classes = []string{"a"} },
		"named twice":         func(d *Description) { d.Heads[0].Classes[1] = "cat" },
	} {
		d := described()
		spoil(&d)
		if _, err := d.Encode(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseDescription(string(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("read: error %v, want one with %q", err, want)
		}
	}
	for _, step := range []string{
		`{"transform":"resize","with":{"rule":"shortest","shorter":0}}`,
		`{"transform":"resize","with":{"rule":"squash","height":10,"width":99999999}}`,
		`{"transform":"crop","with":{"height":-1,"width":1}}`,
		`{"transform":"pad","with":{"height":1}}`,
		`{"transform":"normalise","with":{"channels":"rgb","divisor":0,"std":[1,1,1]}}`,
		`{"transform":"normalise","with":{"channels":"rgb","divisor":255,"std":[1,0,1]}}`,
		`{"transform":"normalise","with":{"channels":"grey","divisor":255,"std":[1,1,1]}}`,
		`{"transform":"resize","with":7}`,
	} {
		var steps Transforms
		if err := json.Unmarshal([]byte("["+step+"]"), &steps); err == nil {
			t.Errorf("%s was taken", step)
		}
	}
}

func TestLicences(t *testing.T) {
	d := described()
	d.Origins = append(d.Origins, d.Origins[0], Origin{Weights: "random"})
	if all, ok := d.Licences(); !ok || !reflect.DeepEqual(all, []string{"BSD-3-Clause"}) {
		t.Errorf("licences %v, %v", all, ok)
	}
	d.Origins = append(d.Origins, Origin{Weights: "file", Digest: "x"})
	if _, ok := d.Licences(); ok {
		t.Error("a file's licence is known")
	}
	if words := d.LicencesInWords(); words != "BSD-3-Clause, not known" {
		t.Errorf("licences in words: %q", words)
	}
	taught := Description{Origins: TaughtBy([]Origin{{Weights: "random"}}, []Origin{{Digest: "a", Licence: "CC-BY-NC-4.0 AND MIT"}, {Digest: "a", Licence: "CC-BY-NC-4.0 AND MIT", Role: RoleTeacher}})}
	if len(taught.Origins) != 2 || len(taught.OwnOrigins()) != 1 || taught.LicencesInWords() != "CC-BY-NC-4.0, MIT" {
		t.Errorf("a student's origins: %+v, own %+v, licences %s", taught.Origins, taught.OwnOrigins(), taught.LicencesInWords())
	}
	taught.Origins[1].Licence = "MIT AND NOASSERTION"
	if words := taught.LicencesInWords(); words != "MIT, not known" {
		t.Errorf("licences in words: %q", words)
	}
}

func FuzzParseDescription(f *testing.F) {
	text, err := described().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(`{"version":2,"inputs":[{"name":"a","transforms":[{"transform":"x","with":null}]}]}`)
	f.Add(`{"version":3}`)
	f.Fuzz(func(t *testing.T, text string) {
		var d Description
		var err error
		budgettest.Within(t, len(text), func() { d, err = ParseDescription(text) })
		if err != nil {
			return
		}
		once, err := d.Encode()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := ParseDescription(once)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if twice, err := again.Encode(); err != nil || twice != once {
			t.Fatalf("written as %s, then as %s, %v", once, twice, err)
		}
	})
}
