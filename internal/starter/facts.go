package starter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Facts are what is known of a folder of pictures or texts, or of a table of texts.
type Facts struct {
	Folder  string // or the table
	Texts   *Texts // nil of pictures
	Rows    int
	Classes map[string]int // rows by class, those of split test not counted if there are splits
	Splits  map[string]int // rows by split, if the folder has splits of its own
	Domains []string       // sub-folders that each have the classes
	Rejects int            // files that are no pictures or texts, as far as their names tell

	Sampled int // rows that were looked into
	Broken  int // of those

	// Of a sample of the pictures, in pixels; 0 if none could be read.
	ShortSide int     // median
	Aspect    float64 // longer side by shorter, the 75th percentile
}

// HoldsClasses tells whether a folder has sub-folders with pictures directly in them, as classes are: two at least.
func HoldsClasses(folder string) bool {
	names, _, err := subfolders(folder)
	if err != nil {
		return false
	}
	classes := 0
	for _, name := range names {
		entries, err := os.ReadDir(filepath.Join(folder, name))
		if err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Type().IsRegular() && dataset.NamedAsPicture(e.Name()) }) {
			classes++
		}
	}
	return classes >= 2
}

// Look lists a folder, or a table of texts, and looks into some of its rows: the heads of pictures, the words of texts. A folder has
// texts if it has no pictures.
func Look(ctx context.Context, folder string) (Facts, error) {
	f := Facts{Folder: folder, Classes: map[string]int{}, Splits: map[string]int{}}
	info, err := os.Stat(folder)
	if err != nil {
		return f, err
	}
	if isTable(info) {
		return lookAtTexts(ctx, f, true)
	}
	if !info.IsDir() {
		return f, fmt.Errorf("%s is neither a folder nor a table of texts (%s); for another source write the pipeline yourself: 'tlpipe stages preprocess' and 'tlpipe stages text' list them", folder, strings.Join(dataset.TextEndings(), ", "))
	}
	if f.Domains, err = domainsOf(folder); err != nil {
		return f, err
	}
	var paths []string
	for _, part := range f.parts() {
		rows, err := dataset.Folder{Path: part}.List(ctx, nil)
		if err != nil {
			return f, err
		}
		f.count(rows)
		for _, row := range rows.All {
			paths = append(paths, row.At.Path)
		}
	}
	if f.Rows == 0 {
		return lookAtTexts(ctx, f, false)
	}
	f.sample(ctx, paths)
	return f, ctx.Err()
}

// parts are the folders of the domains, or the folder itself.
func (f Facts) parts() []string {
	if len(f.Domains) == 0 {
		return []string{f.Folder}
	}
	parts := make([]string, len(f.Domains))
	for i, d := range f.Domains {
		parts[i] = filepath.Join(f.Folder, d)
	}
	return parts
}

// mostSampled is how many pictures are looked into.
const mostSampled = 400

func (f *Facts) sample(ctx context.Context, paths []string) {
	var short []int
	var aspects []float64
	decoder := picture.NewDecoder()
	step := max(len(paths)/mostSampled, 1)
	for i := 0; i < len(paths) && ctx.Err() == nil; i += step {
		f.Sampled++
		width, height, err := sizeOf(decoder, paths[i])
		if err != nil || width < 1 || height < 1 {
			f.Broken++
			continue
		}
		short = append(short, min(width, height))
		aspects = append(aspects, float64(max(width, height))/float64(min(width, height)))
	}
	if len(short) > 0 {
		slices.Sort(short)
		slices.Sort(aspects)
		f.ShortSide, f.Aspect = short[len(short)/2], aspects[len(aspects)*3/4]
	}
}

// sizeOf reads the head of a picture's file. Some formats have what tells it at the end.
func sizeOf(decoder *picture.Decoder, path string) (width, height int, err error) {
	const head, most = 256 << 10, 64 << 20
	for _, n := range []int64{head, most} {
		var data []byte
		if data, err = begin(path, n); err != nil {
			return 0, 0, err
		}
		var info picture.Info
		if info, err = decoder.Inspect(data); err == nil {
			return info.Width, info.Height, nil
		}
		if int64(len(data)) < n {
			break
		}
	}
	return 0, 0, err
}

func begin(path string, n int64) (_ []byte, err error) {
	file, err := budget.Open(path, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return io.ReadAll(io.LimitReader(file, n))
}

// domainsOf are the sub-folders of a folder if each has sub-folders of its own, no files, and most of their names in common:
// the same classes from several places.
func domainsOf(folder string) ([]string, error) {
	first, files, err := subfolders(folder)
	if err != nil || files > 0 || len(first) < 2 {
		return nil, err
	}
	if slices.ContainsFunc(first, isSplit) {
		return nil, nil
	}
	shared := map[string]int{}
	for _, domain := range first {
		classes, _, err := subfolders(filepath.Join(folder, domain))
		if err != nil {
			return nil, err
		}
		if len(classes) < 2 {
			return nil, nil
		}
		for _, c := range classes {
			shared[c]++
		}
	}
	common := 0
	for _, n := range shared {
		if n == len(first) {
			common++
		}
	}
	if common < 2 || 2*common < len(shared) {
		return nil, nil
	}
	return first, nil
}

func isSplit(name string) bool {
	return slices.Contains([]string{"train", "training", "val", "valid", "validation", "test"}, name)
}

func subfolders(folder string) (names []string, files int, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, 0, err
	}
	for _, e := range entries {
		switch {
		case e.Name()[0] == '.':
		case e.IsDir():
			names = append(names, e.Name())
		default:
			files++
		}
	}
	return names, files, nil
}

// training is how many rows there will be to train on.
func (f Facts) training() int {
	if n, ok := f.Splits[record.Train]; ok {
		if f.Splits[record.Validation] == 0 {
			n = n * 85 / 100
		}
		return n
	}
	return f.Rows * 70 / 100
}

// balance is the rows of the largest class and of the smallest, with their names.
func (f Facts) balance() (largest, smallest string) {
	names := make([]string, 0, len(f.Classes))
	for name := range f.Classes {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(f.Classes[a], f.Classes[b]), cmp.Compare(a, b)) })
	return names[len(names)-1], names[0]
}

func (f Facts) ratio() float64 {
	largest, smallest := f.balance()
	return float64(f.Classes[largest]) / math.Max(float64(f.Classes[smallest]), 1)
}
