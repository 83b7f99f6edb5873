package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

const (
	pinnedPipeline = "testdata/pinned/pinned.yaml"
	pinnedDigests  = "testdata/pinned/digests.json"
	howToPin       = "TLPIPE_UPDATE=1 go test ./cmd/tlpipe -run TestPinnedResults"
)

// pin is what is known of a stage's outputs.
type pin struct {
	MadeBy string `json:"made_by"` // see madeBy
	// Digests are those of the content of the outputs, by what decides the last bits of floating-point
	// numbers, and by port. The first is "" for stages that depend on no such thing.
	Digests map[string]map[string]string `json:"digests"`
}

// The content of each stage's outputs changes only if the Version of its kind is raised, or of one that it
// takes from, or the revision in package kernel; and stages that do not say their numerics give the same
// with each instruction set. Those that this processor has are all tested with TLPIPE_HEAVY=1.
func TestPinnedResults(t *testing.T) {
	update := os.Getenv("TLPIPE_UPDATE") != ""
	if os.Getenv(kernel.EnvironmentVariable) != "" || os.Getenv("TLPIPE_HEAVY") == "" && !update {
		pinnedHere(t, update)
		return
	}
	for _, set := range []string{"portable", "avx2", "avx512"} {
		t.Run(set, func(t *testing.T) {
			command := exec.Command(os.Args[0], "-test.run=^TestPinnedResults$", "-test.v")
			command.Env = append(os.Environ(), kernel.EnvironmentVariable+"="+set)
			out, err := command.CombinedOutput()
			switch {
			case err != nil:
				t.Errorf("%v\n%s", err, out)
			case strings.Contains(string(out), "--- SKIP"):
				t.Skipf("%s", out)
			}
		})
	}
}

// pinnedHere tests with the instructions in use.
func pinnedHere(t *testing.T, update bool) {
	if _, err := kernel.InstructionSet(); err != nil {
		t.Skip(err)
	}
	pins := readPins(t)
	unknown := ""
	result, latest := runPinned(t)
	madeBy := func(n *pipeline.Node) string { return madeBy(n, latest) }
	for _, n := range result.Nodes {
		name, numerics := n.Node.Name, numericsOf(n.Node)
		got, p := contentOf(t, n), pins[name]
		want, pinned := p.Digests[numerics]
		pinned = pinned && p.MadeBy == madeBy(n.Node)
		switch {
		case pinned && !maps.Equal(want, got):
			t.Errorf("stage %s (%s, numerics %q) gives other content than before, with versions as before: raise Version of kind %s, or revision in internal/kernel/numerics.go where arithmetic changed, and then run\n\t%s\ngot  %v\nwant %v",
				name, p.MadeBy, numerics, n.Node.Kind.Name, howToPin, got, want)
		case pinned:
		case update:
			if p.MadeBy != madeBy(n.Node) {
				p = pin{MadeBy: madeBy(n.Node), Digests: map[string]map[string]string{}}
			}
			p.Digests[numerics] = got
			pins[name] = p
		case p.MadeBy == madeBy(n.Node) && !pinnedFor(p, numerics):
			unknown = numerics
		default:
			t.Errorf("stage %s (%s, numerics %q) is not pinned: run\n\t%s", name, madeBy(n.Node), numerics, howToPin)
		}
	}
	if update && !t.Failed() {
		writePins(t, pins)
	}
	if unknown != "" && !t.Failed() {
		t.Skipf("there are no digests for %q yet: run on this machine\n\t%s", unknown, howToPin)
	}
}

// runPinned runs the pipeline anew. It returns what the cache knows of the run, too.
func runPinned(t *testing.T) (*pipeline.Result, cache.Latest) {
	text, err := os.ReadFile(pinnedPipeline)
	if err != nil {
		t.Fatal(err)
	}
	g, err := pipeline.Load(pinnedPipeline, text, kinds())
	if err != nil {
		t.Fatal(err)
	}
	store, err := cache.Open(context.Background(), t.TempDir(), cache.OS{})
	if err != nil {
		t.Fatal(err)
	}
	result, err := (&pipeline.Runner{Store: store}).Run(context.Background(), g)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := result.Journal.Close(); err != nil {
			t.Error(err)
		}
		if err := result.Close(); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	latest, err := store.Latest(cache.PipelineID(g.Name, g.File))
	if err != nil {
		t.Fatal(err)
	}
	return result, latest
}

func numericsOf(n *pipeline.Node) string {
	numerics, _ := n.Recipe.Get("numerics")
	return numerics
}

// pinnedFor says whether there are digests for these instructions, of any revision. Those of a raised Version are
// made on the machine at hand, which may not have all instructions: the others are then added later.
func pinnedFor(p pin, numerics string) bool {
	for known := range p.Digests {
		if withoutRevision(known) == withoutRevision(numerics) {
			return true
		}
	}
	return false
}

// withoutRevision is "avx512" of "avx512 1".
func withoutRevision(numerics string) string {
	if i := strings.LastIndexByte(numerics, ' '); i >= 0 {
		if _, err := strconv.Atoi(numerics[i+1:]); err == nil {
			return numerics[:i]
		}
	}
	return numerics
}

// madeBy names the kinds and versions of a node and of all that it takes from. Of sources it tells the keys,
// which cover what they list.
func madeBy(n *pipeline.Node, latest cache.Latest) string {
	kinds := map[string]bool{}
	var add func(n *pipeline.Node)
	add = func(n *pipeline.Node) {
		text := fmt.Sprintf("%s %d", n.Kind.Name, n.Kind.Version)
		if len(n.Inputs) == 0 {
			known, _ := latest.Node(n.Name)
			keys := sha256.New()
			frame(keys, known.Keys...)
			text += " of " + hex.EncodeToString(keys.Sum(nil)[:4])
		}
		kinds[text] = true
		for _, e := range n.Inputs {
			add(e.From)
		}
	}
	add(n)
	return strings.Join(slices.Sorted(maps.Keys(kinds)), ", ")
}

// contentOf is a digest of what each output says: the schema and the values, however they rest.
func contentOf(t *testing.T, n *pipeline.NodeResult) map[string]string {
	out := map[string]string{}
	for port, artifact := range n.Outputs {
		if artifact.Rows() == 0 {
			out[port] = "no rows"
			continue
		}
		var columns []hash.Hash
		var schema *arrow.Schema
		for rec, err := range artifact.Batches(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
			if schema == nil {
				schema = rec.Schema()
				for range rec.NumCols() {
					columns = append(columns, sha256.New())
				}
			}
			for i, column := range rec.Columns() {
				hashValues(columns[i], column)
			}
		}
		all := sha256.New()
		for i, f := range schema.Fields() {
			frame(all, f.Name, f.Type.String(), fmt.Sprint(f.Nullable), f.Metadata.String(), string(columns[i].Sum(nil)))
		}
		meta := schema.Metadata().ToMap()
		for _, key := range slices.Sorted(maps.Keys(meta)) {
			frame(all, key, meta[key])
		}
		out[port] = hex.EncodeToString(all.Sum(nil)[:12])
	}
	return out
}

// hashValues hashes a column's values, whatever batches they come in.
func hashValues(h hash.Hash, column arrow.Array) {
	switch c := column.(type) {
	case *array.FixedSizeList:
		width := int64(c.DataType().(*arrow.FixedSizeListType).Len())
		for i := range c.Len() {
			frame(h, fmt.Sprint(c.IsNull(i)))
		}
		from := int64(c.Offset()) * width
		values := array.NewSlice(c.ListValues(), from, from+int64(c.Len())*width)
		defer values.Release()
		hashValues(h, values)
	case *array.Uint8:
		h.Write(c.Uint8Values())
	case *array.Uint16:
		h.Write(arrow.Uint16Traits.CastToBytes(c.Uint16Values()))
	case *array.Float16:
		h.Write(arrow.Float16Traits.CastToBytes(c.Values()))
	case *array.Float32:
		h.Write(arrow.Float32Traits.CastToBytes(c.Float32Values()))
	default:
		for i := range c.Len() {
			frame(h, fmt.Sprint(c.IsNull(i)), c.ValueStr(i))
		}
	}
}

func frame(h hash.Hash, texts ...string) {
	for _, s := range texts {
		h.Write(binary.AppendUvarint(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
}

func readPins(t *testing.T) map[string]pin {
	pins := map[string]pin{}
	raw, err := os.ReadFile(pinnedDigests)
	if err == nil {
		err = json.Unmarshal(raw, &pins)
	}
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return pins
}

func writePins(t *testing.T, pins map[string]pin) {
	raw, err := json.MarshalIndent(pins, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.FromSlash(pinnedDigests), append(raw, '\n'), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}
