package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/tlpipe/tlpipe/internal/audio"
	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/document"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Folder is a folder with one sub-folder a class, or with sub-folders train,
// val and test of which each has one a class. Pictures may lie deeper; the
// class is the first folder. Pictures that lie in no class folder have no
// label. The id is the path below the folder.
//
// A folder of texts has files of texts, mails or web pages in the place of
// pictures, one of sounds sound files.
//
// Hidden files are passed over; files whose names do not end as a picture's
// does, devices, pipes and sockets are passed over with a note. Links are
// followed, but each folder is listed once: where it lies, rather than where
// a link leads to it, and the first link in the order of paths where it lies
// elsewhere.
type Folder struct {
	Path   string
	Layout string // one of the Layouts; "" is LayoutAuto
	Limits Limits

	Content Content
	Format  document.Format // of texts: what all files are, whatever their names end in; "": their names tell
}

// claims tells by the name whether a file may be one of the folder's rows.
func (f Folder) claims(name string) bool {
	switch f.Content {
	case Pictures:
		return NamedAsPicture(name)
	case Sounds:
		return audio.NamedAsSound(name)
	}
	_, ok := document.FormatOf(name)
	return ok || f.Format != ""
}

// form is how a file is read.
func (f Folder) form(name string) string {
	if f.Content != Texts || f.Format != "" {
		return string(f.Format)
	}
	format, _ := document.FormatOf(name)
	return string(format)
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
	w := walk{
		folder: f,
		ctx:    ctx, root: f.Path, splits: layout == LayoutSplits, passed: map[string]int{}, classes: map[string]bool{}, special: map[string]int{},
		budget: f.Limits.budget(math.MaxInt64), above: above, visited: map[folderKey]bool{},
	}
	w.enter(above[0])
	if err := w.read(nil, entries); err != nil {
		return Rows{}, fmt.Errorf("list the folder %s: %w", f.Path, err)
	}
	if err := w.followLinks(); err != nil {
		return Rows{}, fmt.Errorf("list the folder %s: %w", f.Path, err)
	}
	w.note()
	w.rows.sortByID()
	unlabelled := 0
	for _, row := range w.rows.All {
		if row.Label == "" {
			unlabelled++
		}
		w.classes[row.Label] = true
	}
	switch {
	case unlabelled == 1:
		w.rows.Notes = append(w.rows.Notes, fmt.Sprintf("%s: 1 %s lies in no class folder and has no label", f.Path, f.Content.one()))
	case unlabelled > 1:
		w.rows.Notes = append(w.rows.Notes, fmt.Sprintf("%s: %d %s lie in no class folder and have no label", f.Path, unlabelled, f.Content.Many()))
	}
	for _, name := range slices.Sorted(maps.Keys(w.classes)) {
		if !w.classes[name] {
			w.rows.EmptyClasses = append(w.rows.EmptyClasses, name)
		}
	}
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

// folderKey is a folder by device and inode.
type folderKey struct{ device, inode uint64 }

// walk collects the pictures below a folder.
type walk struct {
	folder Folder
	ctx    context.Context
	root   string
	splits bool
	rows   Rows
	budget *budget.Budget

	above   []fs.FileInfo      // the folders that the root lies in, and itself
	visited map[folderKey]bool // folders that were listed
	others  []fs.FileInfo      // those of them that have no key
	links   []link             // to folders, not followed yet

	passed  map[string]int // files passed over, by the ending of their names
	special map[string]int // devices, pipes and sockets passed over, by what they are
	again   []string       // links to folders that were listed already

	classes map[string]bool // folders of classes; whether a picture is in them
}

// link is one to a folder.
type link struct {
	at   []string // its path from the root
	info fs.FileInfo
}

// enter tells whether a folder is met for the first time.
func (w *walk) enter(info fs.FileInfo) bool {
	key, ok := keyOf(info)
	switch {
	case ok && w.visited[key]:
		return false
	case ok:
		w.visited[key] = true
	case slices.ContainsFunc(w.others, func(other fs.FileInfo) bool { return os.SameFile(other, info) }):
		return false
	default:
		w.others = append(w.others, info)
	}
	return true
}

// read lists one folder. below is its path from the root.
func (w *walk) read(below []string, entries []fs.DirEntry) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	found := len(w.rows.All) + len(w.rows.Rejects)
	for _, e := range entries {
		if hidden(e.Name()) {
			continue
		}
		if err := w.budget.Take(budget.Items, 1); err != nil {
			return err
		}
		at := append(slices.Clip(below), e.Name())
		path := filepath.Join(w.root, filepath.Join(at...))
		kind := e.Type()
		if kind&fs.ModeSymlink != 0 {
			info, err := os.Stat(path)
			switch {
			case err == nil && info.IsDir():
				w.links = append(w.links, link{at, info})
				continue
			case err == nil:
				kind = info.Mode().Type()
			case w.folder.claims(e.Name()):
				w.rows.reject(idOf(at), "a link to nowhere: %s", reason(err))
				continue
			default:
				continue
			}
		}
		switch {
		case kind.IsDir():
			if err := w.sub(at, path); err != nil {
				return err
			}
		case !kind.IsRegular():
			w.special[kindOf(kind)]++
		case !w.folder.claims(e.Name()):
			ending := strings.ToLower(filepath.Ext(e.Name()))
			if ending == "" {
				ending = "without an ending"
			}
			w.passed[ending]++
		default:
			w.add(at, path)
		}
	}
	if len(below) > 0 && w.folder.Format == "" && w.folder.claims(below[len(below)-1]) && found == len(w.rows.All)+len(w.rows.Rejects) {
		w.rows.reject(idOf(below), "a folder, not a %s", w.folder.Content.one())
	}
	return nil
}

// sub goes into a sub-folder. One that cannot be read is a reject, as a file
// would be.
func (w *walk) sub(at []string, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		w.rows.reject(idOf(at), "the folder cannot be read: %s", reason(err))
		return nil
	}
	if !w.enter(info) { // mounted in two places
		w.again = append(w.again, idOf(at))
		return nil
	}
	return w.list(at, path)
}

func (w *walk) list(at []string, path string) error {
	if deep := len(at); deep == 1 && !w.splits || deep == 2 && w.splits {
		if name := text(at[deep-1]); !w.classes[name] {
			w.classes[name] = false // so far
		}
	}
	entries, err := os.ReadDir(path)
	if ofProcess(err) {
		return err
	}
	if err != nil {
		w.rows.reject(idOf(at), "the folder cannot be read: %s", reason(err))
		return nil
	}
	return w.read(at, entries)
}

// followLinks lists the folders that links lead to, when all that lies below the root itself has been listed.
func (w *walk) followLinks() error {
	for len(w.links) > 0 {
		links := w.links
		w.links = nil
		for _, l := range links {
			switch {
			case slices.ContainsFunc(w.above, func(folder fs.FileInfo) bool { return os.SameFile(folder, l.info) }):
				w.rows.reject(idOf(l.at), "a link to a folder that it lies in")
			case !w.enter(l.info):
				w.again = append(w.again, idOf(l.at))
			default:
				if err := w.list(l.at, filepath.Join(w.root, filepath.Join(l.at...))); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// note tells what was passed over.
func (w *walk) note() {
	tell := func(one, many string, counts map[string]int) {
		if len(counts) == 0 {
			return
		}
		total, kinds := 0, []string{}
		for _, kind := range slices.Sorted(maps.Keys(counts)) {
			total += counts[kind]
			name := kind
			if counts[kind] == 1 && !strings.HasPrefix(kind, ".") {
				name = strings.TrimSuffix(kind, "s")
			}
			kinds = append(kinds, fmt.Sprintf("%d %s", counts[kind], name))
		}
		const most = 20
		if len(kinds) > most {
			kinds = append(kinds[:most], fmt.Sprintf("and %d other kinds", len(kinds)-most))
		}
		what := many
		if total == 1 {
			what = one
		}
		w.rows.Notes = append(w.rows.Notes, fmt.Sprintf("%s: passed over %d %s (%s)", w.root, total, what, strings.Join(kinds, ", ")))
	}
	named := " not named as " + w.folder.Content.Many() + " are"
	tell("file that is"+named, "files that are"+named, w.passed)
	tell("that is no file", "that are no files", w.special)
	switch {
	case len(w.again) == 1:
		w.rows.Notes = append(w.rows.Notes, fmt.Sprintf("%s: passed over a link to a folder that is listed already, %s", w.root, w.again[0]))
	case len(w.again) > 1:
		w.rows.Notes = append(w.rows.Notes, fmt.Sprintf("%s: passed over %d links to folders that are listed already, the first of them %s",
			w.root, len(w.again), w.again[0]))
	}
}

// kindOf names what is no file.
func kindOf(kind fs.FileMode) string {
	switch {
	case kind&fs.ModeNamedPipe != 0:
		return "pipes"
	case kind&fs.ModeSocket != 0:
		return "sockets"
	case kind&fs.ModeDevice != 0:
		return "devices"
	}
	return "others"
}

func (w *walk) add(at []string, path string) {
	row := Row{ID: idOf(at), At: Location{Path: path, Offset: WholeFile}, Form: w.folder.form(path)}
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

// NamedAsPicture tells whether a file claims by its name to be a picture.
func NamedAsPicture(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pnm",
		".heic", ".heif", ".avif", ".jxl", ".jp2": // the last are rejected when read, with the reason
		return true
	}
	return false
}

// ofProcess tells whether an error says something of this process and its limits, and nothing of the file.
func ofProcess(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}

// reason is the bare reason of a file system's error.
func reason(err error) string {
	var onPath *fs.PathError
	if errors.As(err, &onPath) {
		return onPath.Err.Error()
	}
	return err.Error()
}
