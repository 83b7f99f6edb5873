// Package drums holds the sounds built into tlpipe: the first half second of 94 samples of Sonic Pi, kicks, snares, hats, cymbals, toms
// and strokes of the tabla, at 22,050 samples a second.
//
// drums.zip is made by make/make.py of a published package; NOTICE at the root of the repository names source and licence.
package drums

import (
	"archive/zip"
	_ "embed"
	"fmt"
	"io"
	"path"
	"strings"
)

//go:embed drums.zip
var archive string

// Sound is one of them.
type Sound struct {
	ID    string // "kick/bd_808.flac"
	Label string // kick, snare, hat, cymbal, tom or tabla
	File  []byte // FLAC
}

// All reads the sounds, sorted by label and name within.
func All() (sounds []Sound, err error) {
	in, err := zip.NewReader(strings.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("open the built-in sounds: %w", err)
	}
	for _, entry := range in.File {
		f, err := entry.Open()
		if err != nil {
			return nil, fmt.Errorf("open the built-in sounds: %w", err)
		}
		data, err := io.ReadAll(f)
		if err != nil {
			return nil, fmt.Errorf("read the built-in sound %s: %w", entry.Name, err)
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
		sounds = append(sounds, Sound{ID: entry.Name, Label: path.Dir(entry.Name), File: data})
	}
	return sounds, nil
}
