//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/sourcegraph/conc"
)

// TestTogether runs a pipeline twice at once over one cache, kills one of the runs, collects garbage and verifies
// meanwhile, again and again with changes to the data. Nothing is ever damaged, and what comes out is what comes out of
// a cache of its own.
func TestTogether(t *testing.T) {
	if os.Getenv("TLPIPE_HEAVY") == "" {
		t.Skip("takes half a minute")
	}
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(3, 4))
	picture := func(class string, i int) {
		img := image.NewNRGBA(image.Rect(0, 0, 24, 24))
		for k := range img.Pix {
			img.Pix[k] = uint8(random.IntN(128) + 100*len(class)/4)
		}
		img.Set(0, 0, color.White)
		var out bytes.Buffer
		if err := png.Encode(&out, img); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "data", class, strconv.Itoa(i)+".png")
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, out.Bytes(), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		picture([]string{"cat", "horse"}[i%2], i)
	}
	file := filepath.Join(dir, "p.yaml")
	if err := os.WriteFile(file, []byte(`name: together
stages:
  images: {uses: preprocess, with: {source: {folder: data}, for: pixels, size: 16}}
  varied: {uses: augment, from: images, with: {copies: 3, flip: horizontal}}
  features: {uses: extract, from: varied, with: {backbone: pixels}}
  head: {uses: finetune, from: features, with: {head: linear, epochs: 3}}
  scores: {uses: evaluate, from: {model: head, data: features}}
`), 0o666); err != nil {
		t.Fatal(err)
	}
	start := func(cache string, args ...string) (*exec.Cmd, *bytes.Buffer) {
		var out bytes.Buffer
		c := exec.Command("tlpipe", args...)
		c.Env = append(os.Environ(), "TLPIPE_CACHE="+filepath.Join(dir, cache))
		c.Stdout, c.Stderr = &out, &out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c, &out
	}
	finish := func(c *exec.Cmd, out *bytes.Buffer) {
		if err := c.Wait(); err != nil {
			t.Errorf("%v: %v\n%s", c.Args, err, out)
		}
	}
	digests := func(cache string) map[string]string {
		c, out := start(cache, "run", file, "--json")
		finish(c, out)
		found := map[string]string{}
		for line := range bytes.Lines(out.Bytes()) {
			var e struct{ Stage, Digest string }
			if json.Unmarshal(line, &e) == nil && e.Stage != "" {
				found[e.Stage] = e.Digest
			}
		}
		return found
	}
	for range 4 {
		var others conc.WaitGroup
		mortal, _ := start("cache", "run", file)
		delay := time.Duration(random.IntN(1500)) * time.Millisecond
		others.Go(func() {
			time.Sleep(delay)
			_ = mortal.Process.Kill()
			_ = mortal.Wait()
		})
		for _, args := range [][]string{{"run", file}, {"cache", "verify"}, {"cache", "gc"}, {"cache", "verify"}} {
			c, out := start("cache", args...)
			others.Go(func() { finish(c, out) })
		}
		others.Wait()
		picture("cat", random.IntN(300)) // another picture, or one in the wrong class
	}
	got, want := digests("cache"), digests("fresh")
	if len(want) != 5 {
		t.Fatalf("stages %v", want)
	}
	for stage, digest := range want {
		if got[stage] != digest {
			t.Errorf("stage %s: %s, in a cache of its own %s", stage, got[stage], digest)
		}
	}
	c, out := start("cache", "cache", "verify")
	finish(c, out)
}
