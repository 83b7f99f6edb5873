package record

import (
	"encoding/json"
	"fmt"
)

// Extraction tells how features were made of pictures; it is the metadata of features and of the
// models trained on them. Equal features have equal extractions.
type Extraction struct {
	Backbone  string `json:"backbone"`
	Variant   string `json:"variant,omitempty"` // in which the backbone is built; "" for its default one
	Weights   string `json:"weights"`           // the name of a weight set, "random", "file", or "" for a backbone without
	Digest    string `json:"digest,omitempty"`  // hexadecimal SHA-256 of the weights' file; "" for random ones
	Seed      uint64 `json:"seed,omitempty"`    // of random weights
	Layer     string `json:"layer"`             // as the network calls it
	Precision string `json:"precision"`
	Flip      bool   `json:"flip"` // averaged over the picture and its mirror image
}

// Encode gives the text that stands in metadata and traits.
func (e Extraction) Encode() string {
	text, err := json.Marshal(e)
	if err != nil {
		panic(err) // plain values always marshal
	}
	return string(text)
}

// ParseExtraction reads what Encode wrote.
func ParseExtraction(text string) (Extraction, error) {
	var e Extraction
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return e, fmt.Errorf("read how features were made: %w", err)
	}
	return e, nil
}
