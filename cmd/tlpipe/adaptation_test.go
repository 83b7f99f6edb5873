package main

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/pipeline"
)

// A word for a strategy decides what learns in an adaptation of a whole network, as it does in finetune.
func TestAdaptationsFollowStrategies(t *testing.T) {
	for spelled, want := range map[string]map[string]string{
		"{kind: partial, top: 5}":              {"params.strategy.phases[0].name": "top", "params.strategy.phases[0].top": "5"},
		"{kind: partial, unfreeze: [block14]}": {"params.strategy.phases[0].unfreeze[0]": "block14"},
		"[{unfreeze: [block15]}]":              {"params.strategy.phases[0].unfreeze[0]": "block15", "params.strategy.phases[0].decay": "1"},
		"full":                                 {"params.strategy.phases[0].unfreeze[0]": "all"},
		"{kind: feature_extraction}":           {"params.strategy.phases[0].name": "head"},
	} {
		g, err := pipeline.Load("adapt.yaml", []byte(`
name: adapt
stages:
  images: {uses: preprocess, with: {source: {builtin: emoji}, for: efficientnet_lite0, size: 32}}
  adapted:
    uses: adapt
    from: images
    with: {domains: {source: [noto], target: [fluent]}, method: dann, backbone: efficientnet_lite0, strategy: `+spelled+`}
`), kinds())
		if err != nil {
			t.Fatalf("%s: %v", spelled, err)
		}
		got := map[string]string{}
		for _, f := range g.Nodes[1].Recipe {
			got[f.Name] = f.Value
		}
		for name, value := range want {
			if strings.Trim(got[name], `"`) != value {
				t.Errorf("strategy %s: %s is %q, not %q", spelled, name, got[name], value)
			}
		}
	}
}

// The pipeline for published features runs on files with their names, variables and sizes. The numbers in them are drawn.
func TestOfficeCaltechPipeline(t *testing.T) {
	sizes := []struct {
		name string
		rows int
	}{{"Caltech10", 1123}, {"amazon", 958}, {"webcam", 295}, {"dslr", 157}}
	features, pairs := 800, [][2]int{{0, 3}, {2, 1}}
	if os.Getenv("TLPIPE_HEAVY") == "" { // one pair of small files
		sizes, features, pairs = sizes[2:], 60, [][2]int{{0, 1}}
		sizes[0].rows, sizes[1].rows = 120, 80
	}
	folder := t.TempDir()
	random := rand.New(rand.NewPCG(1, 1))
	for _, s := range sizes {
		fts, labels := make([]float64, s.rows*features), make([]float64, s.rows)
		for i := range s.rows {
			labels[i] = float64(i%10 + 1)
			for j := range features { // by columns
				fts[j*s.rows+i] = math.Floor(3 * random.Float64() * (1 + math.Sin(float64((i%10+1)*(j+1)))))
			}
		}
		text := append(matHeader(), matMatrix("fts", s.rows, features, fts)...)
		text = append(text, matMatrix("labels", s.rows, 1, labels)...)
		if err := os.WriteFile(filepath.Join(folder, s.name+"_SURF_L10.mat"), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cache := t.TempDir()
	for _, pair := range pairs {
		from, to := sizes[pair[0]].name, sizes[pair[1]].name
		var last map[string]any
		for _, line := range runJSON(t, "../../pipelines/office_caltech.yaml", "--cache", cache,
			"--set", "vars.folder="+folder, "--set", "vars.from="+from, "--set", "vars.to="+to) {
			last = line
		}
		if metrics, _ := last["metrics"].(map[string]any); last["status"] != "ok" || len(metrics) == 0 {
			t.Errorf("from %s to %s: %v", from, to, last)
		}
	}
}

// matHeader and matMatrix write MAT-files of version 5, by the format's published description.
func matHeader() []byte {
	out := append([]byte("MATLAB 5.0 MAT-file"), bytes.Repeat([]byte(" "), 124)...)[:124]
	return append(out, 0x00, 0x01, 'I', 'M')
}

func matMatrix(name string, rows, columns int, values []float64) []byte {
	const (
		int8Type, int32Type, uint32Type, doubleType, matrixType = 1, 5, 6, 9, 14
		doubleClass                                             = 6
	)
	var body []byte
	element := func(kind int, data []byte) {
		body = binary.LittleEndian.AppendUint32(body, uint32(kind))
		body = binary.LittleEndian.AppendUint32(body, uint32(len(data)))
		body = append(body, data...)
		body = append(body, make([]byte, (8-len(data)%8)%8)...)
	}
	numbers := func(values ...uint32) (out []byte) {
		for _, v := range values {
			out = binary.LittleEndian.AppendUint32(out, v)
		}
		return out
	}
	element(uint32Type, numbers(doubleClass, 0))
	element(int32Type, numbers(uint32(rows), uint32(columns)))
	element(int8Type, []byte(name))
	data := make([]byte, 0, 8*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
	}
	element(doubleType, data)
	out := binary.LittleEndian.AppendUint32(nil, matrixType)
	return append(binary.LittleEndian.AppendUint32(out, uint32(len(body))), body...)
}
