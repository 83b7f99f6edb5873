package preprocess_test

import (
	"context"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
	"github.com/tlpipe/tlpipe/stages/preprocess"
)

// table writes a CSV and its pictures, which are text: they are listed, not read.
func table(t testing.TB, header string, rows ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, row := range rows {
		path, _, _ := strings.Cut(row, ",")
		write(t, dir, map[string][]byte{path: []byte(path)})
	}
	write(t, dir, map[string][]byte{"rows.csv": []byte(header + "\n" + strings.Join(rows, "\n") + "\n")})
	return dir
}

func TestWithinDividesAGivenSplit(t *testing.T) {
	var rows []string
	for i := range 200 {
		rows = append(rows, fmt.Sprintf("%03d.png,%s", i, []string{"train", "test"}[i%2]))
	}
	dir := table(t, "path,split", rows...)
	_, listing := listed(t, dir, "{source: {csv: rows.csv}, split: {val: 0.2, within: train, exact: true}}")
	count := map[string]int{}
	for i, split := range column(t, listing.Rows, "split") {
		count[split]++
		if i%2 == 1 && split != "test" {
			t.Errorf("row %d moved from test to %s", i, split)
		}
	}
	if count["train"] != 80 || count["val"] != 20 || count["test"] != 100 {
		t.Errorf("splits %v", count)
	}
}

// Rows without a group are not one group.
func TestByWithMissingValues(t *testing.T) {
	var rows []string
	for i := range 60 {
		patient := ""
		if i%2 == 0 {
			patient = fmt.Sprint("p", i/10)
		}
		rows = append(rows, fmt.Sprintf("%03d.png,%s", i, patient))
	}
	dir := table(t, "path,patient", rows...)
	_, listing := listed(t, dir, "{source: {csv: rows.csv}, split: {train: 0.5, val: 0.25, test: 0.25, by: patient}}")
	of, alone := map[string]string{}, map[string]int{}
	splits, patients := column(t, listing.Rows, "split"), column(t, listing.Rows, "patient")
	for i, p := range patients {
		if i%2 == 1 {
			alone[splits[i]]++
			continue
		}
		if before, ok := of[p]; ok && before != splits[i] {
			t.Errorf("patient %s is in %s and in %s", p, before, splits[i])
		}
		of[p] = splits[i]
	}
	if len(alone) != 3 || alone["train"] < 8 {
		t.Errorf("rows without a patient are in %v", alone)
	}
}

// By digest, pictures stay where they were when their class or file gets another name, in large classes and small ones.
func TestByDigestNamesMoveNothing(t *testing.T) {
	splits := func(class, folder string) []string {
		var rows []string
		files := map[string][]byte{}
		for i := range 150 {
			label := class
			if i%5 == 0 {
				label = "rare"
			}
			path := fmt.Sprintf("%s%03d.png", folder, i)
			rows = append(rows, path+","+label)
			files[path] = []byte(fmt.Sprint("picture ", i))
		}
		dir := table(t, "path,label", rows...)
		write(t, dir, files)
		_, listing := listed(t, dir, "{source: {csv: rows.csv}, split: {train: 0.6, val: 0.2, test: 0.2, by: digest}}")
		return column(t, listing.Rows, "split")
	}
	before, after := splits("cat", "a"), splits("katze", "b")
	if !slices.Equal(before, after) || !slices.Contains(before, "test") {
		t.Errorf("splits %v became %v", before, after)
	}
}

func TestSharesThatAreNotNamed(t *testing.T) {
	for with, want := range map[string]string{
		"{source: {csv: a}}":                                    "0.7 0.15 0.15",
		"{source: {csv: a}, split: {by: x}}":                    "0.7 0.15 0.15",
		"{source: {csv: a}, split: {val: 0.25}}":                "0.75 0.25 0",
		"{source: {csv: a}, split: {test: 1}}":                  "0 0 1",
		"{source: {csv: a}, split: {train: 0.5, test: 0.5}}":    "0.5 0 0.5",
		"{source: {csv: a}, split: {train: 0, val: 0.5}}":       "split: the shares add up to 0.5, not to 1",
		"{source: {csv: a}, split: {val: 0.7, test: 0.7}}":      "split: the shares add up to 1.4, not to 1",
		"{source: {csv: a}, split: {train: 0.5, within: tain}}": `split.within: "tain" is not one of train, val, test`,
	} {
		got := ""
		stage, err := pipelinetest.TryStage(preprocess.Kind(), with)
		if err != nil {
			got = err.Error()
		} else {
			got = preprocess.Shares(stage)
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", with, got, want)
		}
	}
}

func TestNotes(t *testing.T) {
	dir := table(t, "path,label,split", "1.png,cat,train", "2.png,cat,test", "3.png,dog,train", "4.png,bird,train", "5.png,,train")
	write(t, dir, map[string][]byte{"2.png": []byte("1.png")})
	stage := pipelinetest.Stage(t, preprocess.Kind(), "{source: {csv: rows.csv}, split: given}")
	stage.(pipeline.Located).Locate(dir)
	listing, err := stage.(pipeline.Source).List(context.Background(), pipelinetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	lines := listing.Overview.Notes
	want := []string{
		"there are no rows in split val",
		"no rows in split test: bird, dog",
		"2 of 5 images have an identical copy in another split; `by: digest` keeps identical images together",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("notes %q, want %q", lines, want)
	}
}

// Small classes are divided in the shares, whatever the salt; a row more moves few others.
func TestSmallClassesAreDividedEvenly(t *testing.T) {
	rows := func(n int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf("%d.png,cat", i))
		}
		return append(out, "dog1.png,dog", "dog2.png,dog", "dog3.png,dog", "dog4.png,dog", "dog5.png,dog")
	}
	nine, ten := table(t, "path,label", rows(9)...), table(t, "path,label", rows(10)...)
	for salt := range 20 {
		with := fmt.Sprintf("{source: {csv: rows.csv}, split: {train: 0.7, val: 0.15, test: 0.15, salt: s%d}}", salt)
		count := map[string]int{}
		before := map[string]string{}
		_, listing := listed(t, nine, with)
		labels, ids := column(t, listing.Rows, "label"), column(t, listing.Rows, "id")
		for i, split := range column(t, listing.Rows, "split") {
			count[labels[i]+" "+split]++
			before[ids[i]] = split
		}
		for what, want := range map[string]int{"cat train": 6, "dog train": 3, "dog val": 1, "dog test": 1} {
			if count[what] != want {
				t.Errorf("salt %d: %d rows of %s, want %d", salt, count[what], what, want)
			}
		}
		if count["cat val"]+count["cat test"] != 3 || count["cat val"]*count["cat test"] == 0 {
			t.Errorf("salt %d: %v", salt, count)
		}
		_, listing = listed(t, ten, with)
		ids = column(t, listing.Rows, "id")
		moved := 0
		for i, split := range column(t, listing.Rows, "split") {
			if was, ok := before[ids[i]]; ok && was != split {
				moved++
			}
		}
		if moved > 2 {
			t.Errorf("salt %d: one row more moves %d others", salt, moved)
		}
	}
}

// Of a large class, no row moves when others come.
func TestLargeClassesStay(t *testing.T) {
	var rows []string
	for i := range 150 {
		rows = append(rows, fmt.Sprintf("%03d.png,cat", i))
	}
	some, all := table(t, "path,label", rows[:120]...), table(t, "path,label", rows...)
	_, few := listed(t, some, "{source: {csv: rows.csv}}")
	_, many := listed(t, all, "{source: {csv: rows.csv}}")
	if before, after := column(t, few.Rows, "split"), column(t, many.Rows, "split"); !slices.Equal(before, after[:120]) {
		t.Error("rows moved")
	}
}

func TestOverview(t *testing.T) {
	dir := table(t, "path,label,split,Notes", "1.png,cat,train,", "2.png,Cat,train,", "3.png,dog,train,x", "4.png,dog,test,", "5.png,,test,")
	write(t, dir, map[string][]byte{"3.png": []byte("1.png")})
	_, listing := listed(t, dir, "{source: {csv: rows.csv}, split: {train: 0.5, val: 0.25, test: 0.25}}")
	o := listing.Overview
	want := []string{
		"Cat and cat are spelled alike and count as 2 classes",
		"1 picture is there under different labels, byte for byte: 1.png (cat) and 3.png (dog)",
		"the source puts every row into a split, so `split` divides nothing; {train: 0.9, val: 0.1, within: train} would divide the rows of train",
		"there are no rows in split val",
		"no rows in split test: Cat, cat",
	}
	if !slices.Equal(o.Notes, want) {
		t.Errorf("notes %q, want %q", o.Notes, want)
	}
	if o.Rows != 5 || fmt.Sprint(o.Splits, o.Columns) != "[train val test] [Notes]" || fmt.Sprint(o.Classes) != "[{ map[test:1] false} {Cat map[train:1] false} {cat map[train:1] false} {dog map[test:1 train:1] false}]" {
		t.Errorf("overview %+v", o)
	}
}

func TestEqualPicturesStayTogether(t *testing.T) {
	var rows []string
	for i := range 40 {
		rows = append(rows, fmt.Sprintf("%02d.png", i))
	}
	dir := table(t, "path", rows...)
	for i := range 40 {
		write(t, dir, map[string][]byte{fmt.Sprintf("%02d.png", i): fmt.Append(nil, i/4)})
	}
	_, listing := listed(t, dir, "{source: {csv: rows.csv}, split: {train: 0.5, test: 0.5, by: digest}}")
	splits := column(t, listing.Rows, "split")
	for i := range splits {
		if splits[i] != splits[i/4*4] {
			t.Errorf("equal pictures are in %s and %s", splits[i/4*4], splits[i])
		}
	}
}

// Backbones that want the same pixels share them; what decides which pictures
// are rejected is part of the recipe.
func TestRecipeIsThePixels(t *testing.T) {
	identity := func(with string) string {
		facts, err := pipelinetest.Stage(t, preprocess.Kind(), with).(pipeline.Identified).Identity()
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(facts)
	}
	if a, b := identity("{source: {folder: a}, for: vgg16}"), identity("{source: {folder: a}, for: densenet121}"); a != b {
		t.Errorf("the same pixels have two recipes:\n%s\n%s", a, b)
	}
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"a/1.png": flat(t, 4, 4, color.White)})
	source, listing := listed(t, dir, "{source: {folder: .}, for: vgg16}")
	rec := pipelinetest.Map(t, pipelinetest.Env(t), source, nil, listing.Rows)[0].Rows
	if text, _ := rec.Schema().Metadata().GetValue(record.PreprocessingKey); strings.Contains(text, "vgg16") {
		t.Errorf("the table names the backbone: %s", text)
	}
	found := false
	for _, v := range params.Canonical(preprocess.Kind().Params) {
		found = found || v.Path == "max_pixels"
	}
	if !found {
		t.Error("max_pixels is not in the recipe")
	}
}

// However much memory pictures take, several are decoded at the same time
// without harm to each other.
func TestLargePicturesBesideSmallOnes(t *testing.T) {
	dir := t.TempDir()
	for i := range 6 {
		side := 4
		if i%2 == 0 {
			side = 2200 // 39 MB, counted by bytesPerPixel: buffers are not kept
		}
		write(t, dir, map[string][]byte{fmt.Sprintf("a/%d.png", i): flat(t, side, side, color.NRGBA{uint8(40 * i), 7, 9, 255})})
	}
	write(t, dir, map[string][]byte{"a/broken.png": []byte("\x89PNG\r\n\x1A\n")})
	if err := os.Symlink(filepath.Join(dir, "a", "0.png"), filepath.Join(dir, "a", "link.png")); err != nil {
		t.Skip(err)
	}
	source, listing := listed(t, dir, "{source: {folder: .}, size: 2, max_pixels: 5000000}")
	env := pipelinetest.Env(t)
	env.Threads = 3
	mapped := pipelinetest.Map(t, env, source, nil, listing.Rows)[0]
	if got := fmt.Sprint(column(t, mapped.Rows, "id")); got != "[a/0.png a/1.png a/2.png a/3.png a/4.png a/5.png a/link.png]" || len(mapped.Rejects) != 1 {
		t.Errorf("rows %s, rejects %v", got, mapped.Rejects)
	}
	tensors, err := record.TensorColumn(mapped.Rows, record.Image)
	if err != nil {
		t.Fatal(err)
	}
	for i, level := range []byte{0, 40, 80, 120, 160, 200, 0} {
		if raw := tensors.Bytes(i); raw[0] != level || raw[9] != level || raw[1] != 7 {
			t.Errorf("row %d is %v", i, raw)
		}
	}
}
