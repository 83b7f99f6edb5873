package sample

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The committed assembly is what its generator writes. The generator is a module of its own, whose
// dependencies may have to be fetched, so this runs only when TLPIPE_HEAVY is set.
func TestAssemblyIsGenerated(t *testing.T) {
	if os.Getenv("TLPIPE_HEAVY") == "" {
		t.Skip("set TLPIPE_HEAVY=1 to run the generator")
	}
	dir := t.TempDir()
	command := exec.Command("go", "run", "-C", "asm", ".", "-dir", dir)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
	for _, name := range []string{"vectors_amd64.s", "vectors_decl_amd64.go"} {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator writes: run go generate (%v)", name, err)
		}
	}
}
