package matfile_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/matfile"
)

func all(string) bool { return true }

// Files of SciPy, packed and not.
func TestRead(t *testing.T) {
	for _, name := range []string{"plain", "packed"} {
		raw, err := os.ReadFile("testdata/" + name + ".mat")
		if err != nil {
			t.Fatal(err)
		}
		found, err := matfile.Read(bytes.NewReader(raw), all, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		by := map[string]matfile.Variable{}
		for _, v := range found {
			by[v.Name] = v
		}
		fts := by["fts"]
		if fts.Rows != 4 || fts.Columns != 3 {
			t.Fatalf("%s: fts is %d×%d", name, fts.Rows, fts.Columns)
		}
		for row := range 4 {
			for column := range 3 {
				if want := float64(row*3+column)/8 - 0.5; fts.At(row, column) != want {
					t.Errorf("%s: element %d, %d is %v, want %v", name, row, column, fts.At(row, column), want)
				}
			}
		}
		for variable, want := range map[string][]float64{"single": {1.5, -2.25}, "labels": {1, 2, 10, 1}, "counts": {70000, -3}, "big": {1 << 40, 5}, "none": nil} {
			if got := by[variable]; !slices.Equal(got.Data, want) || got.Why != "" {
				t.Errorf("%s: %s is %+v, want %v", name, variable, got, want)
			}
		}
		for variable, why := range map[string]string{"name": "a text", "cells": "a cell array", "cube": "3 dimensions", "complex": "complex"} {
			if got := by[variable]; got.Data != nil || !strings.Contains(got.Why, why) {
				t.Errorf("%s: %s is %+v", name, variable, got)
			}
		}
		some, err := matfile.Read(bytes.NewReader(raw), func(name string) bool { return name == "labels" }, nil)
		if err != nil || len(some) != len(found) {
			t.Fatal(err)
		}
		for _, v := range some {
			if (v.Data != nil) != (v.Name == "labels") {
				t.Errorf("%s was read, or labels were not: %+v", v.Name, v)
			}
		}
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	raw, err := os.ReadFile("testdata/packed.mat")
	if err != nil {
		t.Fatal(err)
	}
	newer := slices.Clone(raw[:128])
	newer[124], newer[125] = 0, 2
	plain, err := os.ReadFile("testdata/plain.mat")
	if err != nil {
		t.Fatal(err)
	}
	for want, data := range map[string][]byte{
		"no MAT-file": []byte("nothing"), "no MAT-file of version 5": make([]byte, 200), "save it with -v7": newer,
		"truncated: the file ends too soon": plain[:200],
	} {
		if _, err := matfile.Read(bytes.NewReader(data), all, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	small := budget.New(budget.Limit{Resource: budget.Memory, Most: 64})
	if _, err := matfile.Read(bytes.NewReader(raw), all, small); !budget.Exceeded(err) {
		t.Errorf("96 bytes in a budget of 64: %v", err)
	}
	small = budget.New(budget.Limit{Resource: budget.Unpacked, Most: 64})
	if _, err := matfile.Read(bytes.NewReader(raw), all, small); !budget.Exceeded(err) {
		t.Errorf("unpacking more than 64 bytes: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"plain", "packed"} {
		raw, err := os.ReadFile("testdata/" + name + ".mat")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b := budget.New(budget.Limit{Resource: budget.Memory, Most: 1 << 20}, budget.Limit{Resource: budget.Unpacked, Most: 1 << 20})
		found, err := matfile.Read(bytes.NewReader(raw), all, b)
		if err != nil {
			return
		}
		for _, v := range found {
			if v.Data != nil && len(v.Data) != v.Rows*v.Columns {
				t.Fatalf("%d numbers in a matrix of %d×%d", len(v.Data), v.Rows, v.Columns)
			}
		}
	})
}
