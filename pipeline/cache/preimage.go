package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Field is one named fact of a pre-image.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Preimage is what a digest was made of, in order.
type Preimage []Field

// encodingVersion heads every pre-image; another one makes all earlier keys
// unreachable.
const encodingVersion = "tlpipe pre-image 1"

// Digest returns the hexadecimal SHA-256 of the pre-image. Every name and
// value is framed by its length, so that no two pre-images share an encoding.
func (p Preimage) Digest() string {
	hash := sha256.New()
	var frame []byte
	add := func(s string) {
		frame = binary.AppendUvarint(frame[:0], uint64(len(s)))
		hash.Write(frame)
		hash.Write([]byte(s))
	}
	add(encodingVersion)
	for _, f := range p {
		add(f.Name)
		add(f.Value)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// Get returns the value of a named fact.
func (p Preimage) Get(name string) (string, bool) {
	for _, f := range p {
		if f.Name == name {
			return f.Value, true
		}
	}
	return "", false
}

// Difference lists, for people, what changed from old to p:
// "params.epochs: 10 → 12".
func (p Preimage) Difference(old Preimage) []string {
	var out []string
	for _, f := range p {
		before, ok := old.Get(f.Name)
		switch {
		case !ok:
			out = append(out, fmt.Sprintf("%s: %s (new)", f.Name, f.Value))
		case before != f.Value:
			out = append(out, fmt.Sprintf("%s: %s → %s", f.Name, before, f.Value))
		}
	}
	for _, f := range old {
		if _, ok := p.Get(f.Name); !ok {
			out = append(out, fmt.Sprintf("%s: %s → (gone)", f.Name, f.Value))
		}
	}
	return out
}
