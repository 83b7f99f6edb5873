package preprocess

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

	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Probe implements pipeline.Probing: it looks whether the files and folders of the sources are there, and for the columns in
// the headers of tables.
func (s *stage) Probe() error {
	sources := s.params.Source
	var errs []error
	for i, source := range sources {
		errs = append(errs, source.probe(sourcePath(i, len(sources)), s.dir))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	table := func(i int) string {
		kind := "csv"
		if len(sources[i].Parquet) > 0 {
			kind = "parquet"
		}
		return sourcePath(i, len(sources)) + "." + kind
	}
	return probeColumns(sources.parts(s.dir), table, s.params.Target, s.params.Split)
}

// sourcePath is where parameters of one of so many sources stand.
func sourcePath(i, of int) string {
	if of == 1 {
		return "source"
	}
	return fmt.Sprintf("source[%d]", i)
}

// probeColumns looks for the columns that the parameters name, as far as the sources' columns are known before they are
// listed. table tells where the file of a source stands among the parameters.
func probeColumns(parts []dataset.Part, table func(int) string, target *Target, split Split) error {
	var errs []error
	var names []string // in any source
	known := true
	for i, part := range parts {
		of, all, err := dataset.Columns(context.Background(), part.Source)
		if err != nil {
			errs = append(errs, pipeline.ParamError(table(i), "%v", err))
		}
		known = known && all && err == nil
		for column := range maps.Keys(part.Only) {
			if all && err == nil && column != dataset.Digest && !slices.Contains(of, column) {
				errs = append(errs, missingColumn(sourcePath(i, len(parts))+".only."+column, column, of))
			}
		}
		for _, name := range of {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if known {
		names = append(names, dataset.Digest)
		for _, column := range target.columns() {
			if !slices.Contains(names, column) {
				errs = append(errs, missingColumn(target.place(column), column, names))
			}
		}
		if split.By != "" && !slices.Contains(names, split.By) {
			errs = append(errs, missingColumn("split.by", split.By, names))
		}
	}
	return errors.Join(errs...)
}

func missingColumn(path, column string, names []string) error {
	return pipeline.ParamErrorHint(path, params.DidYouMean(column, names), "the source has no column %q", column)
}

func (s Source) probe(path, dir string) error {
	var errs []error
	for key, folder := range map[string]string{"folder": s.Folder, "root": s.Root} {
		if folder != "" {
			errs = append(errs, probeOne(path+"."+key, dir, folder, true))
		}
	}
	files := map[string]string{"csv": s.CSV}
	if s.IDX != nil {
		files["idx.images"], files["idx.labels"] = s.IDX.Images, s.IDX.Labels
	}
	for key, file := range files {
		if file != "" {
			errs = append(errs, probeOne(path+"."+key, dir, file, false))
		}
	}
	for key, patterns := range map[string][]string{"parquet": s.Parquet, "tar": s.Tar} {
		for i, pattern := range patterns {
			at := path + "." + key
			if len(patterns) > 1 {
				at = fmt.Sprintf("%s[%d]", at, i)
			}
			if err := dataset.Matches(within(dir, pattern)); err != nil {
				errs = append(errs, pipeline.ParamErrorHint(at, nearby(dir, pattern), "%v", err))
			}
		}
	}
	return errors.Join(errs...)
}

// probeOne looks whether a folder, or a file, is there.
func probeOne(path, dir, name string, folder bool) error {
	info, err := os.Stat(within(dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist) && folder:
		return pipeline.ParamErrorHint(path, nearby(dir, name), "there is no folder %s", name)
	case errors.Is(err, fs.ErrNotExist):
		return pipeline.ParamErrorHint(path, nearby(dir, name), "there is no file %s", name)
	case err != nil:
		return pipeline.ParamError(path, "%s cannot be looked at: %v", name, errors.Unwrap(err))
	case folder && !info.IsDir():
		return pipeline.ParamErrorHint(path, "a table is {csv: …} or {parquet: …}, an archive {tar: …}", "%s is a file, not a folder", name)
	case !folder && info.IsDir():
		return pipeline.ParamErrorHint(path, "a folder of pictures is {folder: …}", "%s is a folder, not a file", name)
	}
	return nil
}

// nearby says what may have been meant by a path that leads nowhere: a name like it, or where relative paths start.
func nearby(dir, name string) string {
	full := within(dir, name)
	parent := filepath.Dir(full)
	if entries, err := os.ReadDir(parent); err == nil {
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		base := filepath.Base(full)
		if i := slices.IndexFunc(names, func(other string) bool { return strings.EqualFold(other, base) }); i >= 0 {
			return fmt.Sprintf("did you mean %q?", filepath.Join(filepath.Dir(name), names[i]))
		}
		if near := params.Nearest(base, names); near != "" {
			return fmt.Sprintf("did you mean %q?", filepath.Join(filepath.Dir(name), near))
		}
	}
	if !filepath.IsAbs(name) {
		return "relative paths start at the pipeline's folder, " + dir
	}
	return ""
}
