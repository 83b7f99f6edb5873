package preprocess_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
	"github.com/tlpipe/tlpipe/stages/preprocess"
)

// flat is a PNG of one colour.
func flat(t testing.TB, w, h int, c color.Color) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		img.Set(i%w, i/w, c)
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func write(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// listed makes the stage and lists it, with paths from dir.
func listed(t testing.TB, dir, with string) (pipeline.Source, pipeline.Listing) {
	t.Helper()
	stage := pipelinetest.Stage(t, preprocess.Kind(), with)
	stage.(pipeline.Located).Locate(dir)
	if _, err := stage.Check(nil); err != nil {
		t.Fatal(err)
	}
	source := stage.(pipeline.Source)
	listing, err := source.List(context.Background(), pipelinetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	return source, listing
}

func column(t testing.TB, rec arrow.Record, name string) []string {
	t.Helper()
	at, _, err := record.Column(rec.Schema(), name)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i := range int(rec.NumRows()) {
		out = append(out, rec.Column(at).ValueStr(i))
	}
	return out
}

func TestFolderWithBadFiles(t *testing.T) {
	dir := t.TempDir()
	good := flat(t, 40, 30, color.NRGBA{10, 20, 30, 255})
	write(t, dir, map[string][]byte{
		"data/猫/ネコ.png":      good,
		"data/猫/empty.png":   nil,
		"data/dog/short.png": good[:len(good)/2],
		"data/dog/text.jpg":  []byte("not a picture at all"),
		"data/dog/rex.png":   good,
	})
	if err := os.MkdirAll(filepath.Join(dir, "data/dog/folder.png"), 0o777); err != nil {
		t.Fatal(err)
	}
	source, listing := listed(t, dir, "{source: {folder: data}, size: 8, split: {train: 1}}")
	mapped := pipelinetest.Map(t, pipelinetest.Env(t), source, nil, listing.Rows)[0]
	if got := fmt.Sprint(column(t, mapped.Rows, "id"), column(t, mapped.Rows, "label"), column(t, mapped.Rows, "split")); got !=
		"[dog/rex.png 猫/ネコ.png] [dog 猫] [train train]" {
		t.Error(got)
	}
	reasons := map[string]string{}
	for _, r := range append(listing.Rejects, mapped.Rejects...) {
		reasons[r.ID] = r.Reason
	}
	for id, part := range map[string]string{"猫/empty.png": "empty", "dog/short.png": "", "dog/text.jpg": ""} {
		if reason, ok := reasons[id]; !ok || !strings.Contains(reason, part) || strings.Contains(reason, "\n") {
			t.Errorf("%s: rejected %v: %q", id, ok, reason)
		}
	}
	tensors, err := record.TensorColumn(mapped.Rows, record.Image)
	if err != nil || fmt.Sprint(tensors.Shape) != "[8 8 3]" || !bytes.Equal(tensors.Bytes(1)[:3], []byte{10, 20, 30}) {
		t.Errorf("%v %v", tensors, err)
	}
}

// Who gives the wrong folder is told where pictures were looked for.
func TestNoPictures(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"data/cat/notes.txt": []byte("x"), "more/dog/1.png": flat(t, 4, 4, color.White)})
	for with, want := range map[string]string{
		"{source: {folder: data}}":                                         "there are no images in " + filepath.Join(dir, "data"),
		"{source: {folder: more, only: {label: [cat]}}}":                   "there are no images in " + filepath.Join(dir, "more") + " that `only` keeps",
		"{source: [{folder: data}, {builtin: emoji, only: {label: [x]}}]}": filepath.Join(dir, "data") + ", the set emoji that `only` keeps",
	} {
		stage := pipelinetest.Stage(t, preprocess.Kind(), with)
		stage.(pipeline.Located).Locate(dir)
		if _, err := stage.(pipeline.Source).List(t.Context(), pipelinetest.Env(t)); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: error is %v", with, err)
		}
	}
}

func TestChangedFileFailsTheChunk(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"data/a/1.png": flat(t, 4, 4, color.White)})
	source, listing := listed(t, dir, "{source: {folder: data}, size: 8}")
	write(t, dir, map[string][]byte{"data/a/1.png": flat(t, 4, 4, color.Black)})
	m, err := source.Open(t.Context(), pipelinetest.Env(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Map(t.Context(), listing.Rows); !errors.Is(err, dataset.ErrChanged) || !strings.Contains(err.Error(), "1.png") {
		t.Errorf("error is %v", err)
	}
}

func TestStoredFormsGiveTheNetworkTheSame(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"data/a/1.png": flat(t, 9, 7, color.NRGBA{200, 100, 50, 128})})
	for _, normalise := range []string{"imagenet", "caffe", "{mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6]}"} {
		values := map[string][]float32{}
		for _, store := range []string{"uint8", "float16", "float32"} {
			source, listing := listed(t, dir, fmt.Sprintf("{source: {folder: data}, size: 5, normalise: %s, store: %s, background: '#fff'}", normalise, store))
			rec := pipelinetest.Map(t, pipelinetest.Env(t), source, nil, listing.Rows)[0].Rows
			tensors, err := record.TensorColumn(rec, record.Image)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := rec.Schema().Metadata().GetValue(record.PreprocessingKey)
			p, err := record.ParsePreprocessing(text)
			if err != nil {
				t.Fatal(err)
			}
			if raw := tensors.Bytes(0); raw != nil {
				values[store] = make([]float32, len(raw))
				normaliser := picture.NewNormaliser(p.Normalisation())
				normaliser.Apply(values[store], raw)
			} else {
				values[store] = tensors.AppendFloats(nil, 0)
			}
		}
		for i, x := range values["uint8"] {
			if values["float32"][i] != x {
				t.Fatalf("%s: value %d is %v stored as float32, %v as uint8", normalise, i, values["float32"][i], x)
			}
			if d := values["float16"][i] - x; d > 0.1 || d < -0.1 {
				t.Fatalf("%s: value %d is %v stored as float16, %v as uint8", normalise, i, values["float16"][i], x)
			}
		}
	}
}

func prepared(t testing.TB, with string) record.Preprocessing {
	t.Helper()
	traits, err := pipelinetest.Stage(t, preprocess.Kind(), with).Check(nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := record.ParsePreprocessing(traits["images"][record.PreprocessingKey])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestForABackboneAndByHand(t *testing.T) {
	p := prepared(t, "{source: {builtin: emoji}, for: efficientnet_lite0}")
	if p.For != "efficientnet_lite0" || p.Height != 224 || p.ResizeTo != 256 || p.Mean[0] == 0 {
		t.Errorf("%+v", p)
	}
	p = prepared(t, "{source: {builtin: emoji}, for: efficientnet_lite0, size: 112, filter: bicubic}")
	if p.For != "efficientnet_lite0" || p.Height != 112 || p.Width != 112 || p.ResizeTo != 128 || p.Filter != "bicubic" {
		t.Errorf("%+v", p)
	}
	p = prepared(t, "{source: {builtin: emoji}, size: [60, 80], resize: squash, normalise: caffe}")
	if p.For != "" || p.Height != 60 || p.Width != 80 || p.ResizeTo != 0 || p.Channels != "bgr" {
		t.Errorf("%+v", p)
	}
}

func TestRefusals(t *testing.T) {
	for with, want := range map[string]string{
		"{}":                            "source",
		"{source: {}}":                  "it is not said where the pictures are",
		"{source: {folder: a, csv: b}}": "folder and csv are given for one source",
		"{source: {builtin: emojis}}":   "there is no built-in set",
		"{source: {folder: a, columns: {id: x}}}":              "a folder has no columns",
		"{source: [{folder: a}, {csv: b, separator: ab}]}":     "source[1].separator",
		"{source: {folder: a}, for: efficientnet_lit0}":        "efficientnet_lite0",
		"{source: {folder: a}, split: {train: 0.5, val: 0.2}}": "add up to 0.7",
		"{source: {folder: a}, split: taken}":                  "no way to split",
		"{source: {folder: a}, normalise: imagnet}":            "imagenet",
		"{source: {folder: a}, normalise: {mean: [1]}}":        "three values",
		"{source: {folder: a}, size: [1, 2, 3]}":               "a height and a width",
		"{source: {folder: a}, background: white}":             "background",
		"{source: {folder: a}, resize: crop}":                  "is not one of",
	} {
		if _, err := pipelinetest.TryStage(preprocess.Kind(), with); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", with, err, want)
		}
	}
}

func TestBuiltinSplitsByObject(t *testing.T) {
	_, listing := listed(t, "", "{source: {builtin: emoji}, split: {train: 0.6, val: 0.2, test: 0.2, by: object, exact: true}}")
	ids, labels, splits := column(t, listing.Rows, "id"), column(t, listing.Rows, "label"), column(t, listing.Rows, "split")
	objects := column(t, listing.Rows, "object")
	count, of := map[string]int{}, map[string]string{}
	for i := range ids {
		count[labels[i]+" "+splits[i]]++
		if before, ok := of[objects[i]]; ok && before != splits[i] {
			t.Errorf("object %s is in %s and in %s", objects[i], before, splits[i])
		}
		of[objects[i]] = splits[i]
	}
	// 21 objects a class in three styles: 13, 4 and 4.
	for k, n := range count {
		want := 12
		if strings.HasSuffix(k, "train") {
			want = 39
		}
		if n != want {
			t.Errorf("%s: %d pictures, want %d", k, n, want)
		}
	}
	if len(count) != 24 {
		t.Errorf("%d classes and splits", len(count))
	}
}

func splitsOf(t testing.TB, dir, split string, rows map[string]string) map[string]string {
	var csv strings.Builder
	csv.WriteString("path,label\n")
	for path, label := range rows {
		fmt.Fprintf(&csv, "%s,%s\n", path, label)
		if err := os.WriteFile(filepath.Join(dir, path), []byte(path), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "rows.csv"), []byte(csv.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	_, listing := listed(t, dir, "{source: {csv: rows.csv}, split: "+split+"}")
	out := map[string]string{}
	ids, splits := column(t, listing.Rows, "id"), column(t, listing.Rows, "split")
	for i, id := range ids {
		out[id] = splits[i]
	}
	return out
}

// Rows that come or go move few others: those at the borders of a small class.
func TestSplitIsStable(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		rows := map[string]string{}
		for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, 300), 2, 60, rapid.ID[int]).Draw(rt, "rows") {
			rows[fmt.Sprintf("p%d.png", n)] = []string{"cat", "dog"}[n%2]
		}
		all := splitsOf(t, dir, "{train: 0.5, val: 0.25, test: 0.25}", rows)
		fewer := maps.Clone(rows)
		for path := range rows {
			delete(fewer, path)
			break
		}
		moved := 0
		for id, split := range splitsOf(t, dir, "{train: 0.5, val: 0.25, test: 0.25}", fewer) {
			if all[id] != split {
				moved++
			}
		}
		if moved > 3 {
			rt.Fatalf("%d of %d rows moved when one came", moved, len(fewer))
		}
	})
}

func TestSplitShares(t *testing.T) {
	dir := t.TempDir()
	rows := map[string]string{}
	for n := range 1000 {
		rows[fmt.Sprintf("p%d.png", n)] = []string{"cat", "dog"}[n%2]
	}
	for split, slack := range map[string]int{"{train: 0.6, val: 0.3, test: 0.1}": 50, "{train: 0.6, val: 0.3, test: 0.1, exact: true}": 0} {
		count := map[string]int{}
		for id, s := range splitsOf(t, dir, split, rows) {
			count[rows[id]+s]++
		}
		for k, want := range map[string]int{"cattrain": 300, "dogtrain": 300, "catval": 150, "dogval": 150, "cattest": 50, "dogtest": 50} {
			if d := count[k] - want; d > slack || d < -slack {
				t.Errorf("%s: %s has %d rows, want %d ± %d", split, k, count[k], want, slack)
			}
		}
	}
}

func TestGivenSplits(t *testing.T) {
	dir := t.TempDir()
	picture := flat(t, 4, 4, color.White)
	write(t, dir, map[string][]byte{"data/train/a/1.png": picture, "data/test/a/2.png": picture, "data/valid/b/3.png": picture})
	_, listing := listed(t, dir, "{source: {folder: data}, split: given}")
	if got := fmt.Sprint(column(t, listing.Rows, "split"), column(t, listing.Rows, "label")); got != "[test train val] [a a b]" {
		t.Error(got)
	}
	stage := pipelinetest.Stage(t, preprocess.Kind(), "{source: {builtin: emoji}, split: given}")
	if _, err := stage.(pipeline.Source).List(t.Context(), pipelinetest.Env(t)); err == nil || !strings.Contains(err.Error(), "have no split") {
		t.Errorf("error is %v", err)
	}
}

// Paths, thread counts and limits of reading do not enter the recipe.
func TestRecipe(t *testing.T) {
	recipe := func(with string) string {
		stage := pipelinetest.Stage(t, preprocess.Kind(), with)
		facts, err := stage.(pipeline.Identified).Identity()
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(facts)
	}
	if recipe("{source: {folder: a}}") != recipe("{source: {folder: b}, size: 224, normalise: imagenet, split: {train: 1}}") {
		t.Error("the same pixels have two recipes")
	}
	if recipe("{source: {folder: a}}") == recipe("{source: {folder: a}, filter: bicubic}") {
		t.Error("other pixels have the same recipe")
	}
	for _, v := range params.Canonical(preprocess.Kind().Params) {
		if strings.HasPrefix(v.Path, "source") || strings.HasPrefix(v.Path, "split") {
			t.Errorf("%s is in the recipe", v.Path)
		}
	}
}

func TestExample(t *testing.T) {
	var example map[string]struct{ With yaml.Node }
	if err := yaml.Unmarshal([]byte(preprocess.Kind().Example), &example); err != nil {
		t.Fatal(err)
	}
	node := example["images"].With
	text, err := yaml.Marshal(&node)
	if err != nil {
		t.Fatal(err)
	}
	pipelinetest.Stage(t, preprocess.Kind(), string(text))
}

// What a source's columns say of the target stands in a column of its own, as classes or numbers.
func TestTarget(t *testing.T) {
	dir := t.TempDir()
	picture := flat(t, 9, 9, color.White)
	write(t, dir, map[string][]byte{
		"a.png": picture, "b.png": flat(t, 8, 8, color.Black), "c.png": []byte("no picture"), "d.png": flat(t, 7, 7, color.Black),
		"x.csv": []byte("path,label,tags,age\na.png,l,sun;sea,3\nb.png,m,,7.5\nc.png,l,sun,1\nd.png,l,sun,unknown\n"),
	})
	for target, want := range map[string]string{
		"{classes: tags, separator: ';'}":              `a.png ["sea","sun"] b.png (null) c.png ["sun"] d.png ["sun"]`,
		"{classes: tags, separator: ';', empty: none}": `a.png ["sea","sun"] b.png [] c.png ["sun"] d.png ["sun"]`,
		"{numbers: [age]}":                             "a.png [3] b.png [7.5] c.png [1]",
		"tags":                                         "a.png sun;sea b.png (null) c.png sun d.png sun",
	} {
		_, listing := listed(t, dir, "{source: {csv: x.csv}, size: 8, split: {train: 1}, target: "+target+"}")
		rows := listing.Rows
		name := record.Target
		if target == "tags" {
			name = record.Label
		}
		at, _, err := record.Column(rows.Schema(), name)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, id := range column(t, rows, record.ID) {
			got = append(got, id, rows.Column(at).ValueStr(i))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: rows %v, want %s", target, got, want)
		}
	}
	for with, want := range map[string]string{
		"{}":                              "is to name the columns",
		"{classes: a, numbers: [b]}":      "is to name the columns",
		"{numbers: [b, b]}":               "twice",
		"{numbers: [b], separator: ';'}":  "several classes",
		"{numbers: [b], empty: none}":     "for several classes",
		"{classes: [a, b], separator: x}": "several classes",
	} {
		if _, err := pipelinetest.TryStage(preprocess.Kind(), "{source: {csv: x.csv}, target: "+with+"}"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", with, err, want)
		}
	}
}

// Files and folders that are not there are told with what may have been meant, before anything is listed.
func TestProbe(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{
		"Pics/a.png": nil, "rows.csv": []byte("path\np\n"), "shard-0.tar": nil, "tags.csv": []byte("path,tags,age\np,a,1\n"), "other.csv": []byte("path,size\np,1\n"),
		"names.csv": []byte("file,label\n"),
	})
	for with, want := range map[string]string{
		"{source: {folder: Pics}}": "",
		"{source: [{csv: rows.csv, domain: a}, {tar: 'shard-*.tar', domain: b}]}": "",
		"{source: {builtin: emoji}}":                                          "",
		"{source: {folder: pics}}":                                            `source.folder: there is no folder pics (did you mean "Pics"?)`,
		"{source: {folder: elsewhere}}":                                       "source.folder: there is no folder elsewhere (relative paths start at the pipeline's folder, " + dir + ")",
		"{source: {folder: rows.csv}}":                                        "source.folder: rows.csv is a file, not a folder",
		"{source: [{builtin: emoji, domain: a}, {csv: rows.cvs, domain: b}]}": `source[1].csv: there is no file rows.cvs (did you mean "rows.csv"?)`,
		"{source: {tar: 'shards-*.tar'}}":                                     "source.tar: there is no file",
		"{source: {idx: {images: i.gz}}}":                                     "source.idx.images: there is no file i.gz",

		// Columns, as far as headers tell.
		"{source: {csv: tags.csv}, target: {classes: tags}, split: {train: 1, by: age}}":                       "",
		"{source: {csv: tags.csv}, target: {classes: tag}}":                                                    `target.classes: the source has no column "tag" (did you mean "tags"?)`,
		"{source: {csv: tags.csv}, target: {numbers: [age, size]}}":                                            `target.numbers[1]: the source has no column "size" (known: `,
		"{source: {csv: tags.csv}, target: kind}":                                                              `target: the source has no column "kind"`,
		"{source: {csv: tags.csv}, split: {train: 1, by: patient}}":                                            `split.by: the source has no column "patient"`,
		"{source: {csv: tags.csv, only: {colour: [red]}}}":                                                     `source.only.colour: the source has no column "colour"`,
		"{source: {csv: names.csv}}":                                                                           `source.csv: there is no column "path" for the path; columns: file, label; if "file" holds the paths, say columns: {path: file}`,
		"{source: [{csv: tags.csv, domain: a}, {csv: other.csv, domain: b}], target: {numbers: [age, size]}}":  "",
		"{source: [{csv: tags.csv, domain: a}, {tar: 'shard-*.tar', domain: b}], target: {numbers: [weight]}}": "",
		"{source: {builtin: emoji}, target: object, split: {train: 1, by: object}}":                            "",
	} {
		stage := pipelinetest.Stage(t, preprocess.Kind(), with)
		stage.(pipeline.Located).Locate(dir)
		got := ""
		if err := stage.(pipeline.Probing).Probe(); err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: %s, want %s", with, got, want)
		}
	}
}
