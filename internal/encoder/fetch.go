package encoder

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// File is a file of an encoder on the hub.
type File struct {
	Path string // below the folder, with slashes

	// Instead are files that do in its place, the first that is there; it is needed, one way or another, unless Optional.
	Instead  []string
	Optional bool
}

// Files are those of an encoder that are read here, as repositories of the hub have them. Shards of weights are told by [Shards].
func Files() []File {
	return []File{
		{Path: "config.json", Instead: []string{"open_clip_config.json"}},
		{Path: "modules.json", Optional: true},
		{Path: "1_Pooling/config.json", Optional: true},
		{Path: "tokenizer_config.json", Optional: true},
		{Path: "tokenizer.json", Instead: []string{"vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model"}},
		{Path: "merges.txt", Optional: true},
		{Path: "model.safetensors", Instead: weightNames()[1:]},
	}
}

// Shards are the files beside an index of weights that hold them.
func Shards(index []byte) ([]string, error) {
	var read struct {
		Map map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(index, &read); err != nil {
		return nil, fmt.Errorf("read the index of weights: %w", err)
	}
	names := map[string]bool{}
	for _, name := range read.Map {
		if name == "" || path.Base(name) != name || strings.ContainsAny(name, `\:`) || name[0] == '.' {
			return nil, fmt.Errorf("the index of weights names %q, which is no file beside it", name)
		}
		names[name] = true
	}
	return slices.Sorted(maps.Keys(names)), nil
}
