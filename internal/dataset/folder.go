package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Folder is a folder with one sub-folder a class, or with sub-folders train,
// val and test of which each has one a class. Pictures may lie deeper; the
// class is the first folder. Pictures that lie in no class folder have no
// label. The id is the path below the folder.
//
// Hidden files are passed over, and files whose names do not end as a
// picture's does are passed over with a note. Links are followed, but not
// round in circles.
type Folder struct {
	Path   string
	Layout string // one of the Layouts; "" is LayoutAuto
}

// Layouts of a folder.
const (
	LayoutAuto    = "auto"    // splits if all sub-folders are named so, else classes
	LayoutClasses = "classes" // one sub-folder a class
	LayoutSplits  = "splits"  // train, val and test, then one a class
)

// Open implements Source.
func (Folder) Open() (Reader, error) { return wholeFiles{}, nil }

// List implements Source.
func (f Folder) List(ctx context.Context, _ pipeline.Files) (Rows, error) {
	entries, err := os.ReadDir(f.Path)
	if err != nil {
		return Rows{}, fmt.Errorf("list the folder: %w", err)
	}
	layout, err := f.layout(entries)
	if err != nil {
		return Rows{}, err
	}
	above, err := foldersAbove(f.Path)
	if err != nil {
		return Rows{}, fmt.Errorf("list the folder: %w", err)
	}
	w := walk{ctx: ctx, root: f.Path, splits: layout == LayoutSplits, passed: map[string]int{}}
	if err := w.folder(nil, above, entries); err != nil {
		return Rows{}, err
	}
	if len(w.passed) > 0 {
		total, kinds := 0, []string{}
		for _, ending := range slices.Sorted(maps.Keys(w.passed)) {
			total += w.passed[ending]
			kinds = append(kinds, fmt.Sprintf("%d %s", w.passed[ending], ending))
		}
		w.rows.Notes = append(w.rows.Notes, fmt.Sprintf("%s: passed over %d files that are not named as pictures are (%s)", f.Path, total, strings.Join(kinds, ", ")))
	}
	w.rows.sortByID()
	return w.rows, nil
}

// foldersAbove returns a folder and those that it lies in, as far as they can
// be seen. No link below may lead back to them: up there is the whole disk.
func foldersAbove(path string) (above []fs.FileInfo, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	above = append(above, info)
	if path, err = filepath.Abs(path); err != nil {
		return above, nil
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return above, nil
	}
	for parent := filepath.Dir(path); parent != path; path, parent = parent, filepath.Dir(parent) {
		if info, err := os.Stat(parent); err == nil {
			above = append(above, info)
		}
	}
	return above, nil
}

// layout decides whether the sub-folders are splits or classes.
func (f Folder) layout(entries []fs.DirEntry) (string, error) {
	if f.Layout != "" && f.Layout != LayoutAuto {
		return f.Layout, nil
	}
	splits, others := map[string]bool{}, []string{}
	for _, e := range entries {
		if hidden(e.Name()) || !e.IsDir() && e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		if e.Type()&fs.ModeSymlink != 0 {
			if info, err := os.Stat(filepath.Join(f.Path, e.Name())); err != nil || !info.IsDir() {
				continue
			}
		}
		if split, ok := splitNamed(e.Name()); ok {
			splits[split] = true
		} else {
			others = append(others, e.Name())
		}
	}
	switch {
	case !splits[record.Train]:
		return LayoutClasses, nil
	case len(others) == 0:
		return LayoutSplits, nil
	case len(splits) == 1:
		return LayoutClasses, nil // trains are a class
	}
	return "", fmt.Errorf("%s has folders named as splits are, and others: %s; say layout: splits or layout: classes", f.Path, strings.Join(others, ", "))
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") || name == "__MACOSX" }

// walk collects the pictures below a folder.
type walk struct {
	ctx    context.Context
	root   string
	splits bool
	rows   Rows
	passed map[string]int // files passed over, by the ending of their names
}

// folder lists one folder. below is its path from the root, above are the
// folders that it lies in, and itself.
func (w *walk) folder(below []string, above []fs.FileInfo, entries []fs.DirEntry) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	found := len(w.rows.All) + len(w.rows.Rejects)
	for _, e := range entries {
		if hidden(e.Name()) {
			continue
		}
		at := append(slices.Clip(below), e.Name())
		path := filepath.Join(w.root, filepath.Join(at...))
		kind := e.Type()
		var info fs.FileInfo
		if kind&fs.ModeSymlink != 0 {
			var err error
			if info, err = os.Stat(path); err != nil {
				if isPicture(e.Name()) {
					w.rows.reject(idOf(at), "a link to nowhere: %s", reason(err))
				}
				continue
			}
			kind = info.Mode().Type()
		}
		switch {
		case kind.IsDir():
			if err := w.sub(at, above, path, info); err != nil {
				return err
			}
		case !isPicture(e.Name()):
			ending := strings.ToLower(filepath.Ext(e.Name()))
			if ending == "" {
				ending = "without an ending"
			}
			w.passed[ending]++
		case !kind.IsRegular():
			w.rows.reject(idOf(at), "not a file but a device, a pipe or a socket")
		default:
			w.add(at, path)
		}
	}
	if len(below) > 0 && isPicture(below[len(below)-1]) && found == len(w.rows.All)+len(w.rows.Rejects) {
		w.rows.reject(idOf(below), "a folder, not a picture")
	}
	return nil
}

// sub goes into a sub-folder. One that cannot be read is a reject, as a file
// would be.
func (w *walk) sub(at []string, above []fs.FileInfo, path string, info fs.FileInfo) error {
	if info == nil {
		var err error
		if info, err = os.Stat(path); err != nil {
			w.rows.reject(idOf(at), "the folder cannot be read: %s", reason(err))
			return nil
		}
	}
	for _, folder := range above {
		if os.SameFile(folder, info) {
			w.rows.reject(idOf(at), "a link to a folder that it lies in")
			return nil
		}
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		w.rows.reject(idOf(at), "the folder cannot be read: %s", reason(err))
		return nil
	}
	return w.folder(at, append(slices.Clip(above), info), entries)
}

func (w *walk) add(at []string, path string) {
	row := Row{ID: idOf(at), At: Location{Path: path, Offset: WholeFile}}
	folders := at[:len(at)-1]
	if w.splits && len(folders) > 0 {
		row.Split, _ = splitNamed(folders[0])
		folders = folders[1:]
	}
	if len(folders) > 0 {
		row.Label = text(folders[0])
	}
	w.rows.All = append(w.rows.All, row)
}

func idOf(path []string) string { return text(strings.Join(path, "/")) }

// text makes valid UTF-8 of a file's name: bytes that are none are written
// as %XX.
func text(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	var b strings.Builder
	for len(name) > 0 {
		r, size := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&b, "%%%02X", name[0])
		} else {
			b.WriteString(name[:size])
		}
		name = name[size:]
	}
	return b.String()
}

// isPicture tells by the name whether a file claims to be a picture.
func isPicture(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pnm",
		".heic", ".heif", ".avif", ".jxl", ".jp2": // the last are rejected when read, with the reason
		return true
	}
	return false
}

// reason is the bare reason of a file system's error.
func reason(err error) string {
	var onPath *fs.PathError
	if errors.As(err, &onPath) {
		return onPath.Err.Error()
	}
	return err.Error()
}
