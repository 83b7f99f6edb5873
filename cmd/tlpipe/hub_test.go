package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/digest"
	"github.com/tlpipe/tlpipe/internal/safetensors"
)

// weights NAME FILE writes random weights of a backbone to a safetensors file, and sets SHA256 to its
// digest.
func weights(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) != 2 {
		ts.Fatalf("usage: weights NAME FILE")
	}
	b, err := backbone.Find(args[0])
	ts.Check(err)
	net, err := b.Network(224, 224)
	ts.Check(err)
	drawn := b.Random(net, 1)
	var tensors []safetensors.Tensor
	for _, p := range net.Parameters() {
		tensors = append(tensors, safetensors.Tensor{Name: p.Name(), Shape: p.Shape, Data: drawn[p.Name()].Data})
	}
	path := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o777))
	f, err := os.Create(path)
	ts.Check(err)
	ts.Check(safetensors.Write(f, tensors, nil))
	ts.Check(f.Close())
	sum, err := digest.File(path)
	ts.Check(err)
	ts.Setenv("SHA256", sum)
}

// hub DIR plays the Hugging Face hub, and sets HF_ENDPOINT to it: DIR/OWNER/REPOSITORY/FILE is where
// the hub has it. The hub redirects to another server, which cuts the first answer for each file in the
// middle; a repository with a file called private is for those with the token "secret"; the hub tells a
// digest that is wrong of a repository with a file called wrong. Both servers write a line a request
// to DIR/log.
func hub(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) != 1 {
		ts.Fatalf("usage: hub DIR")
	}
	dir := ts.MkAbs(args[0])
	log, err := os.Create(filepath.Join(dir, "log"))
	ts.Check(err)
	ts.Defer(func() { ts.Check(log.Close()) })

	files := http.FileServer(http.Dir(dir))
	var mu sync.Mutex
	cut := map[string]bool{}
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		first := !cut[r.URL.Path]
		cut[r.URL.Path] = true
		fmt.Fprintf(log, "store %s %q %q\n", r.URL.Path, r.Header.Get("Range"), r.Header.Get("Authorization"))
		mu.Unlock()
		w.Header().Set("ETag", `"in the store"`)
		if !first {
			files.ServeHTTP(w, r)
			return
		}
		raw, err := os.ReadFile(filepath.Join(dir, r.URL.Path))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
		_, _ = w.Write(raw[:len(raw)/2])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	ts.Defer(store.Close)

	home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		fmt.Fprintf(log, "hub %s %q\n", r.URL.Path, r.Header.Get("Authorization"))
		mu.Unlock()
		path := strings.Replace(r.URL.Path, "/resolve/main/", "/", 1)
		folder := filepath.Join(dir, filepath.Dir(path))
		has := func(name string) bool {
			_, err := os.Stat(filepath.Join(folder, name))
			return err == nil
		}
		if has("private") && r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		raw, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		if has("wrong") {
			raw = append(raw, "and more"...)
		}
		w.Header().Set("X-Linked-Etag", fmt.Sprintf(`"%x"`, sha256.Sum256(raw)))
		http.Redirect(w, r, store.URL+path, http.StatusFound)
	}))
	ts.Defer(home.Close)
	ts.Setenv("HF_ENDPOINT", home.URL)
}
