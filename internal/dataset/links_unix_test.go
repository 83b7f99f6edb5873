//go:build unix

package dataset_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tlpipe/tlpipe/internal/dataset"
)

func TestFolderLinks(t *testing.T) {
	elsewhere := write(t, map[string]string{"1.jpg": "a", "2.jpg": "b"})
	root := write(t, map[string]string{"cat/3.jpg": "c"})
	for name, target := range map[string]string{
		"dog": elsewhere, "cat/4.jpg": filepath.Join(elsewhere, "1.jpg"),
		"cat/loop": root, "cat/up.png": filepath.Dir(filepath.Dir(root)), "cat/self": filepath.Join(root, "cat"), "cat/gone.png": "nowhere", "cat/gone.txt": "nowhere",
	} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(root, "cat", "pipe.jpg"), 0o644); err != nil {
		t.Fatal(err)
	}
	table := list(t, of(dataset.Folder{Path: root}))
	expect(t, "rows", described(table), `
cat/3.jpg label=cat split= domain=
cat/4.jpg label=cat split= domain=
dog/1.jpg label=dog split= domain=
dog/2.jpg label=dog split= domain=
`)
	expect(t, "rejects", rejected(table), `
cat/gone.png: a link to nowhere: no such file or directory
cat/loop: a link to a folder that it lies in
cat/up.png: a link to a folder that it lies in
`)
	expect(t, "notes", strings.Join(table.Notes, "\n"), root+`: passed over 1 that is no file (1 pipe)
`+root+`: passed over a link to a folder that is listed already, cat/self`)
}

// Folders whose links lead to each other are listed once each: where they lie, or at the first link.
func TestFoldersThatLinkToEachOther(t *testing.T) {
	elsewhere := write(t, map[string]string{"1.jpg": "a"})
	files := map[string]string{}
	for i := range 12 {
		files[fmt.Sprintf("d%02d/%d.png", i, i)] = fmt.Sprint(i)
	}
	root := write(t, files)
	for i := range 12 {
		for j := range 12 {
			if err := os.Symlink(filepath.Join("..", fmt.Sprintf("d%02d", j)), filepath.Join(root, fmt.Sprintf("d%02d", i), fmt.Sprint("l", j))); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range []string{"x", "y"} {
		if err := os.Symlink(elsewhere, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	table := list(t, of(dataset.Folder{Path: root}))
	if len(table.All) != 13 || table.All[1].ID != "d01/1.png" || table.All[12].ID != "x/1.jpg" {
		t.Errorf("%d rows: %s", len(table.All), described(table))
	}
	if len(table.Notes) != 1 || !strings.Contains(table.Notes[0], "passed over 145 links") {
		t.Errorf("notes %q", table.Notes)
	}
	_, err := tryList(t, of(dataset.Folder{Path: root, Limits: dataset.Limits{Rows: 20}}))
	if err == nil || !strings.Contains(err.Error(), "more than 20 entries") || !strings.Contains(err.Error(), "limits.rows") {
		t.Errorf("20 rows are allowed: %v", err)
	}
}

// A pipe in the place of a table or an archive is refused, not waited for.
func TestPipesAreNotWaitedFor(t *testing.T) {
	root := write(t, map[string]string{"images": string(idx([]int{1, 1, 1}, 9))})
	pipe := filepath.Join(root, "pipe")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, source := range []dataset.Source{
		dataset.CSV{Path: pipe}, dataset.IDX{Images: filepath.Join(root, "images"), Labels: pipe},
	} {
		if _, err := tryList(t, of(source)); err == nil || !strings.Contains(err.Error(), "it is not a file") {
			t.Errorf("%T: error is %v", source, err)
		}
	}
}
