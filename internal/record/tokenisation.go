package record

import (
	"encoding/json"
	"fmt"
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
)

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
