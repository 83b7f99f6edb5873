package backbone

import (
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/backbone/store"
	"github.com/tlpipe/tlpipe/internal/digest"
	"github.com/tlpipe/tlpipe/internal/secret"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// WeightsReference says which weights a backbone is to have, as users write it; [Backbone.Resolve] understands it.
// In YAML it is a text, or an address with a digest: {url: https://…, sha256: …}, which is another
// spelling of https://…#sha256=….
type WeightsReference string

const digestMark = "#sha256="

// DecodeParam implements params.Decoder.
func (w *WeightsReference) DecodeParam(d *params.Decoding, node *yaml.Node) {
	if node.Kind != yaml.MappingNode {
		d.Into(node, (*string)(w))
		return
	}
	var address struct {
		URL    string `yaml:"url" required:"true" doc:"where the file is: http or https"`
		SHA256 string `yaml:"sha256" required:"true" doc:"of the file, in hexadecimal, as sha256sum tells it"`
	}
	d.Into(node, &address)
	*w = WeightsReference(address.URL + digestMark + address.SHA256)
}

// ParamSchema implements params.Schemer.
func (w *WeightsReference) ParamSchema(map[string]any) map[string]any {
	text := map[string]any{"type": "string"}
	return map[string]any{"anyOf": []any{text, map[string]any{
		"type": "object", "properties": map[string]any{"url": text, "sha256": text},
		"required": []string{"url", "sha256"}, "additionalProperties": false,
	}}}
}

// ShowParam implements params.Concealer.
func (w WeightsReference) ShowParam() string { return secret.Text(string(w)) }

// isURL tells whether the reference is an address.
func (w WeightsReference) isURL() bool {
	return strings.HasPrefix(string(w), "https://") || strings.HasPrefix(string(w), "http://")
}

// source reads an address with its digest.
func (w WeightsReference) source() (store.Source, error) {
	url, sum, _ := strings.Cut(string(w), digestMark)
	sum = strings.ToLower(sum)
	if !digest.IsSHA256(sum) {
		return store.Source{}, wrongWeights("write "+secret.Address(url)+digestMark+" and the 64 digits that `sha256sum FILE` tells; they, and not the address, stand for the weights in recipes",
			"an address of weights needs the file's SHA-256")
	}
	return store.Source{URL: url, Expected: digest.Expected{SHA256: sum}}, nil
}
