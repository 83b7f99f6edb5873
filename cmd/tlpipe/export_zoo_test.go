package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/console"
)

// Every backbone is written in every format that can hold it, read back, and gives what it gave.
func TestExportZoo(t *testing.T) {
	if os.Getenv("TLPIPE_HEAVY") == "" {
		t.Skip("takes minutes: set TLPIPE_HEAVY=1")
	}
	for _, b := range backbone.All() {
		if b.AnyPixels {
			continue
		}
		for _, variant := range b.Variants() {
			for _, ending := range []string{"onnx", "tflite", "keras", "pt"} {
				t.Run(fmt.Sprintf("%s/%s/%s", b.Name, variant, ending), func(t *testing.T) {
					said, err := os.CreateTemp(t.TempDir(), "said")
					if err != nil {
						t.Fatal(err)
					}
					defer said.Close()
					p := &program{kinds: kinds(), out: console.NewOutput(said), err: console.NewOutput(said)}
					file := filepath.Join(t.TempDir(), "net."+ending)
					size := fmt.Sprint(max(b.MinSize, 96))
					code := p.run([]string{"export", b.Name, "--weights", variant + ":random", "--size", size, "--check", "1", "--out", file})
					text, _ := os.ReadFile(said.Name())
					switch refused := strings.Contains(string(text), "operator") || strings.Contains(string(text), "Keras has no"); {
					case noOperators(b, ending) && (code == exitDone || !refused):
						t.Errorf("exit code %d, expected an operator that the format has not: %s", code, text)
					case !noOperators(b, ending) && code != exitDone:
						t.Errorf("exit code %d: %s", code, text)
					}
				})
			}
		}
	}
}

// noOperators tells whether tlpipe writes no file in a format of a network: docs/deploy.md says of which.
func noOperators(b backbone.Backbone, ending string) bool {
	of := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(b.Name, prefix) })
	}
	return ending == "keras" && of("vit_", "dinov2_", "clip_", "siglip_")
}
