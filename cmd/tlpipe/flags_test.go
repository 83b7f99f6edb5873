package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestNames(t *testing.T) {
	for _, c := range []struct{ lists, want []string }{
		{nil, nil},
		{[]string{"a"}, []string{"a"}},
		{[]string{"a, b", "c"}, []string{"a", "b", "c"}},
		{[]string{"features[backbone=a,seed=1],head"}, []string{"features[backbone=a,seed=1]", "head"}},
		{[]string{"a[x=1", "b"}, []string{"a[x=1", "b"}},
		{[]string{",,"}, nil},
	} {
		if got := names(c.lists); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.lists, got, c.want)
		}
	}
}

func TestSplitReference(t *testing.T) {
	dir := t.TempDir()
	odd := filepath.Join(dir, "a:b.yaml")
	if err := os.WriteFile(odd, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text, file, reference string
		ok                    bool
	}{
		{odd + ":head[x=1:2].model", odd, "head[x=1:2].model", true},
		{"nosuch.yaml:head", "nosuch.yaml", "head", true},
		{dir + ":head", dir, "head", true}, // told of as what it is, when it is read
		{"0123abcd", "", "", false},
	} {
		file, reference, ok := splitReference(c.text)
		if file != c.file || reference != c.reference || ok != c.ok {
			t.Errorf("%s: %q, %q, %v", c.text, file, reference, ok)
		}
	}
}

func TestAgeFlag(t *testing.T) {
	for text, want := range map[string]time.Duration{"30d": 720 * time.Hour, "12h": 12 * time.Hour, "1h30m": 90 * time.Minute, "0.5d": 12 * time.Hour, "0d": 0} {
		var f ageFlag
		if err := f.Set(text); err != nil || time.Duration(f) != want {
			t.Errorf("%s: %v, %v", text, time.Duration(f), err)
		}
	}
	for _, text := range []string{"", "d", "-3d", "-1h", "week", "1e9d", "NaNd"} {
		var f ageFlag
		if err := f.Set(text); err == nil {
			t.Errorf("%q is taken for %v", text, time.Duration(f))
		}
	}
}
