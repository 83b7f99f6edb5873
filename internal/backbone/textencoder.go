package backbone

import (
	"encoding/json"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/pipeline/params"
)

// TextEncoder says that the network below a head is the pre-trained text encoder in a folder, as package encoder reads it.
type TextEncoder struct {
	Folder  string  `yaml:"encoder" json:"encoder,omitempty" required:"true" doc:"for texts: the folder of a pre-trained text encoder (BERT, MiniLM, RoBERTa, DistilBERT), as on Hugging Face"`
	Pooling string  `yaml:"pooling" json:"pooling,omitempty" enum:"auto,mean,cls,max,last" doc:"how the vectors of the tokens are pooled into one, as in the stage encode"`
	Dropout float64 `yaml:"dropout" json:"dropout,omitempty" min:"0" max:"0.99" doc:"dropout of the embeddings, of the weights of attention and behind each attention and feed-forward network, in training; 0 if not given"`
}

// ArchitectureOfEncoders is the name of a backbone that is a text encoder in a folder.
const ArchitectureOfEncoders = "encoder"

// TextEncoder is the text encoder that the name stands for; ok is false if it is another network's.
func (n Name) TextEncoder() (e TextEncoder, ok bool) {
	if !strings.HasPrefix(string(n), `{"encoder"`) {
		return e, false
	}
	return e, json.Unmarshal([]byte(n), &e) == nil
}

// RecipeParam implements params.ByContent: what counts of a folder is what lies in it.
func (n Name) RecipeParam() string {
	e, ok := n.TextEncoder()
	if !ok {
		return string(n)
	}
	e.Folder = "a folder"
	return string(e.name())
}

// String is the folder of a text encoder; of other networks the name itself.
func (n Name) String() string {
	if e, ok := n.TextEncoder(); ok {
		return e.Folder
	}
	return string(n)
}

// name is the name that stands for the encoder.
func (e TextEncoder) name() Name {
	if e.Pooling == "auto" {
		e.Pooling = "" // as if it were not said: equal networks are equal recipes
	}
	text, err := json.Marshal(e)
	if err != nil {
		panic(err) // texts and numbers always marshal
	}
	return Name(text)
}

// decodeTextEncoder reads {encoder: FOLDER, …}.
func decodeTextEncoder(d *params.Decoding, node *yaml.Node) Name {
	var e TextEncoder
	before := d.Errors()
	d.Into(node, &e)
	if d.Errors() == before && e.Folder == "" {
		d.Errorf(node, "such as {encoder: models/all-MiniLM-L6-v2}", "the folder of the encoder has no name")
	}
	if d.Errors() > before {
		return ""
	}
	return e.name()
}

// NamesTextEncoder tells whether a parameter names a text encoder in a folder, as [Name.DecodeParam] reads it.
func NamesTextEncoder(node *yaml.Node) bool {
	if node.Kind == yaml.MappingNode {
		return params.Locate(node, "encoder") != node
	}
	_, _, alias := byAlias(node.Value)
	return !alias && namesFolder(node.Value)
}

// namesFolder tells whether a name is a path, and not one of the zoo's.
func namesFolder(name string) bool { return strings.ContainsAny(name, `/\`) }
