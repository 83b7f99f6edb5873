package tokenizer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
)

// charsMap is SentencePiece's table of replacements of characters: a double-array trie (Aoe 1989, as in Darts) from a text
// to the place of its replacement.
type charsMap struct {
	units    []uint32
	replaced []byte // texts that end in 0
}

func readCharsMap(blob []byte) (*charsMap, error) {
	if len(blob) < 4 {
		return nil, errors.New("the table of characters is shorter than its head")
	}
	size := binary.LittleEndian.Uint32(blob)
	if size%4 != 0 || uint64(size) > uint64(len(blob)-4) {
		return nil, fmt.Errorf("the table of characters has %d bytes, and its trie %d", len(blob), size)
	}
	c := &charsMap{units: make([]uint32, size/4), replaced: blob[4+size:]}
	for i := range c.units {
		c.units[i] = binary.LittleEndian.Uint32(blob[4+4*i:])
	}
	return c, nil
}

// prefix is the first, or the longest, text of the table that a text begins with, and its replacement; length is 0 if there is
// none.
func (c *charsMap) prefix(text string, longest bool) (replacement []byte, length int) {
	if len(c.units) == 0 {
		return nil, 0
	}
	offset := func(u uint32) uint32 { return (u >> 10) << ((u & (1 << 9)) >> 6) }
	at := offset(c.units[0])
	for i := range len(text) {
		at ^= uint32(text[i])
		if text[i] == 0 || uint64(at) >= uint64(len(c.units)) {
			break
		}
		unit := c.units[at]
		if unit&(1<<31|0xff) != uint32(text[i]) {
			break
		}
		at ^= offset(unit)
		if uint64(at) >= uint64(len(c.units)) {
			break
		}
		if unit>>8&1 == 1 {
			value := c.units[at] &^ (1 << 31)
			if uint64(value) <= uint64(len(c.replaced)) {
				rest := c.replaced[value:]
				if end := bytes.IndexByte(rest, 0); end >= 0 {
					rest = rest[:end]
				}
				replacement, length = rest, i+1
				if !longest {
					break
				}
			}
		}
	}
	return replacement, length
}

// precompiled replaces characters as tokenizer.json says with such a table: by grapheme if the table has a text that it
// begins with, or else character by character.
type precompiled struct{ table *charsMap }

func (p precompiled) normalise(text string) string {
	var out strings.Builder
	for at := graphemes.FromString(text); at.Next(); {
		grapheme := at.Value()
		if len(grapheme) < 6 {
			if replacement, n := p.table.prefix(grapheme, false); n > 0 {
				out.Write(replacement)
				continue
			}
		}
		for len(grapheme) > 0 {
			_, n := utf8.DecodeRuneInString(grapheme)
			if replacement, found := p.table.prefix(grapheme[:n], false); found > 0 {
				out.Write(replacement)
			} else {
				out.WriteString(grapheme[:n])
			}
			grapheme = grapheme[n:]
		}
	}
	return out.String()
}
