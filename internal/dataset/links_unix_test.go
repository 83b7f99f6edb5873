//go:build unix

package dataset_test

import (
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
cat/pipe.jpg: not a file but a device, a pipe or a socket
cat/self: a link to a folder that it lies in
cat/up.png: a link to a folder that it lies in
`)
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
