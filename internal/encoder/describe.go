package encoder

import (
	"os"
	"path/filepath"

	"github.com/tlpipe/tlpipe/internal/weightfile"
)

// Description is what tables of text encoders tell, with lower-case JSON keys.
type Description struct {
	Name      string `json:"name"`
	Family    string `json:"family"`
	Tokens    int    `json:"tokens"`    // ids of tokens
	Positions int    `json:"positions"` // the greatest number of tokens of a text
	Width     int    `json:"width"`     // of a token's vector
	Blocks    int    `json:"blocks"`
	Heads     int    `json:"heads"`
	Wide      int    `json:"feed_forward"` // width within the feed-forward networks
	Features  int    `json:"features"`     // length of a text's vector
	Pooling   string `json:"pooling,omitempty"`

	Parameters   int64 `json:"parameters"`
	MultiplyAdds int64 `json:"multiply_adds"` // of a text of DescribedTokens tokens, or as many as there are positions for

	Weights string   `json:"weights,omitempty"` // the file, or the index of its shards
	Bytes   int64    `json:"bytes,omitempty"`   // of the weights
	SHA256  string   `json:"sha256,omitempty"`  // of the weights
	Layers  []string `json:"layers"`            // whose pooled vectors can be had
	Notes   []string `json:"notes,omitempty"`
}

// DescribedTokens is how many tokens the text has whose multiply-adds a description tells.
const DescribedTokens = 128

// Describe tells all about the encoder in a folder. Its pooling is "" if the folder does not say it.
func Describe(folder string) (Description, error) {
	e, err := Open(folder, PoolingOfFolder)
	said := err == nil
	if !said {
		if e, err = Open(folder, "mean"); err != nil { // any: what it is does not depend on it
			return Description{}, err
		}
	}
	d, err := e.describe()
	if err != nil {
		return d, err
	}
	if said {
		d.Pooling = e.Pooling()
	}
	d.Weights, d.Notes = filepath.Base(e.weights), e.Notes()
	files, err := weightfile.Files(e.weights)
	if err != nil {
		return d, err
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return d, err
		}
		d.Bytes += info.Size()
	}
	d.SHA256, err = e.WeightsDigest()
	return d, err
}

// describe tells what follows from the sizes.
func (e *Encoder) describe() (Description, error) {
	s := e.Sizes
	d := Description{
		Name: e.Name, Family: s.Family, Tokens: s.Words, Positions: s.MostTokens(), Width: s.Width, Blocks: s.Blocks, Heads: s.Heads, Wide: s.Wide,
		Features: e.VectorWidth(Pooled), Layers: e.Layers(),
	}
	net, err := e.Network(Pooled)
	if err != nil {
		return d, err
	}
	d.Parameters, _ = net.ParameterCount()
	d.Parameters += int64(max(s.Types-1, 0) * s.Width) // of which the network has the row that it uses
	bound, err := net.Bind(min(DescribedTokens, s.MostTokens()))
	if err != nil {
		return d, err
	}
	d.MultiplyAdds = bound.MultiplyAdds()
	return d, nil
}
