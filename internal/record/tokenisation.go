package record

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Tokenisation tells how texts were cut into tokens.
type Tokenisation struct {
	For      string `json:"for,omitempty"`    // the encoder whose tokenizer made them, for people; "": words
	Digest   string `json:"digest"`           // SHA-256 of the tokenizer's files, or of the vocabulary; "" if the rows decide it
	Length   int    `json:"length"`           // tokens of a row at most
	Truncate string `json:"truncate"`         // which stay of more: one of the Truncate names
	Ids      int    `json:"ids,omitempty"`    // how many ids there are; 0 if the rows decide it
	Source   string `json:"source,omitempty"` // of words: where the vocabulary is from
}

// What stays of texts of too many tokens.
const (
	TruncateHead   = "head"   // the beginning
	TruncateTail   = "tail"   // the end
	TruncateMiddle = "middle" // beginning and end: what is cut off is the middle
	TruncateWindow = "window" // all, in windows of Length tokens, of which the last may be shorter
)

// MostWindows is how many windows of a text stay, from its beginning.
const MostWindows = 64

// Windows are those that the tokens of a text lie in: one, unless the text was cut into several.
func (t Tokenisation) Windows(ids []int32) [][]int32 {
	if t.Truncate != TruncateWindow || len(ids) <= t.Length {
		return [][]int32{ids}
	}
	return slices.Collect(slices.Chunk(ids, t.Length))
}

// MostTokens is how many tokens stay of a text at most, around of which stand around each window.
func (t Tokenisation) MostTokens(around int) int {
	if t.Truncate == TruncateWindow {
		return MostWindows * (t.Length - around)
	}
	return t.Length - around
}

// Words tells whether tokens are words.
func (t Tokenisation) Words() bool { return t.For == "" }

// Encode writes it as JSON.
func (t Tokenisation) Encode() string {
	raw, err := json.Marshal(t)
	if err != nil {
		panic(err) // texts and numbers always marshal
	}
	return string(raw)
}

// ParseTokenisation reads what [Tokenisation.Encode] wrote.
func ParseTokenisation(text string) (t Tokenisation, err error) {
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return t, fmt.Errorf("read how texts were cut into tokens: %w", err)
	}
	return t, nil
}

// Truncated returns what stays of ids if there may be most at most.
func (t Tokenisation) Truncated(ids []int32, most int) []int32 {
	if len(ids) <= most {
		return ids
	}
	switch t.Truncate {
	case TruncateTail:
		return ids[len(ids)-most:]
	case TruncateMiddle:
		head := (most + 1) / 2
		return append(append(make([]int32, 0, most), ids[:head]...), ids[len(ids)-(most-head):]...)
	}
	return ids[:most]
}
