package dataset_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/dataset"
)

// Columns are known before rows are listed, and they are those that the rows have then.
func TestColumnsAreKnownBeforeRows(t *testing.T) {
	root := write(t, map[string]string{
		"x.csv": "path,label,image,tags\np,a,b,c\n", "wide.csv": "\xff\xfep\x00a\x00t\x00h\x00,\x00\xe9\x00\n\x00p\x00,\x00q\x00\n\x00", "tall.csv": "path,label,tags\rp,a,b\r",
		"long.csv": "path,naïve\n" + strings.Repeat("x,y\n", 1<<19), "longer.csv": "path,tags\n" + strings.Repeat("x,y\n", 1<<19) + "x,\xff\n",
		"none.csv": "", "bare.csv": "path,label\n", "rows.csv": "a,b\n1,2\n", "x.tar": "",
	})
	at := func(name string) string { return filepath.Join(root, name) }
	for name, c := range map[string]struct {
		source dataset.Source
		want   string // further columns; "?" if they are not known
	}{
		"csv":              {dataset.CSV{Path: at("x.csv")}, "image_ tags"},
		"utf-16":           {dataset.CSV{Path: at("wide.csv")}, "é"},
		"ends of lines":    {dataset.CSV{Path: at("tall.csv")}, "tags"},
		"large, plain":     {dataset.CSV{Path: at("longer.csv")}, "tags"},
		"large, not plain": {dataset.CSV{Path: at("long.csv")}, "?"},
		"not there":        {dataset.CSV{Path: at("nowhere.csv")}, "?"},
		"vectors":          {dataset.Vectors{Path: at("rows.csv")}, "a b"},
		"arrays":           {dataset.Vectors{Path: "testdata/vectors/double.npy"}, "?"},
		"parquet":          {dataset.Parquet{Patterns: []string{"testdata/plain.parquet"}, Columns: map[string]string{"image": "picture", "label": "kind", "id": "key", "split": "fold"}}, ""},
		"no parquet":       {dataset.Parquet{Patterns: []string{at("x.csv")}}, "?"},
		"tar":              {dataset.Tar{Patterns: []string{at("x.tar")}}, "?"},
		"folder":           {dataset.Folder{Path: root}, ""},
		"builtin":          {dataset.Emoji{}, "object caption"},
	} {
		names, all, err := dataset.Columns(t.Context(), c.source)
		got := "?"
		if all {
			got = strings.Join(names[4:], " ")
		}
		if err != nil || got != c.want || !slices.Equal(names[:4], []string{"id", "label", "split", "domain"}) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
	for want, source := range map[string]dataset.Source{
		`it is empty; the first line must name the columns`:       dataset.CSV{Path: at("none.csv")},
		`it has no rows below the names of its columns`:           dataset.CSV{Path: at("bare.csv")},
		`there is no column "path" for the path; columns: a, b`:   dataset.CSV{Path: at("rows.csv")},
		`there is no column "grade" for the label; columns: a, b`: dataset.Vectors{Path: at("rows.csv"), Columns: map[string]string{"label": "grade"}},
	} {
		if _, _, err := dataset.Columns(t.Context(), source); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
