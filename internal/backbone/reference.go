package backbone

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/backbone/store"
	"github.com/tlpipe/tlpipe/internal/digest"
	"github.com/tlpipe/tlpipe/internal/fetch"
	"github.com/tlpipe/tlpipe/internal/secret"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// WeightsReference says which weights a backbone is to have, as users write it; [Backbone.Resolve] understands it.
// In YAML it is a text, or an address with a digest: {url: https://…, sha256: …, limits: {size: 4GB}}, which is another
// spelling of https://…#sha256=…&size=4GB.
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
		Limits struct {
			Size  string `yaml:"size" doc:"the largest that the file may be, such as 4GB"`
			Rate  string `yaml:"rate" doc:"what must come in a second, on average over stall, such as 1kB"`
			Stall string `yaml:"stall" doc:"a try ends when less than rate came for so long, such as 30s"`
		} `yaml:"limits" doc:"what downloading it may cost"`
	}
	d.Into(node, &address)
	text := address.URL + digestMark + address.SHA256
	for _, limit := range [][2]string{{"size", address.Limits.Size}, {"rate", address.Limits.Rate}, {"stall", address.Limits.Stall}} {
		if limit[1] != "" {
			text += "&" + limit[0] + "=" + limit[1]
		}
	}
	*w = WeightsReference(text)
}

// ParamSchema implements params.Schemer.
func (w *WeightsReference) ParamSchema(map[string]any) map[string]any {
	text := map[string]any{"type": "string"}
	number := map[string]any{"type": []string{"integer", "string"}}
	limits := map[string]any{"type": "object", "properties": map[string]any{"size": number, "rate": number, "stall": text}, "additionalProperties": false}
	return map[string]any{"anyOf": []any{text, map[string]any{
		"type": "object", "properties": map[string]any{"url": text, "sha256": text, "limits": limits},
		"required": []string{"url", "sha256"}, "additionalProperties": false,
	}}}
}

// ShowParam implements params.Concealer.
func (w WeightsReference) ShowParam() string { return secret.Text(string(w)) }

// isURL tells whether the reference is an address.
func (w WeightsReference) isURL() bool {
	scheme := scheme.FindString(string(w))
	return strings.EqualFold(scheme, "https://") || strings.EqualFold(scheme, "http://")
}

// scheme is how addresses begin. Drives of Windows have one letter.
var scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]+:/+`)

// otherScheme is what the reference begins with if that is the scheme of an address which is not fetched, or is misspelled; else "".
func (w WeightsReference) otherScheme() string {
	if w.isURL() {
		return ""
	}
	return scheme.FindString(string(w))
}

// source reads an address with its digest and its limits.
func (w WeightsReference) source() (store.Source, error) {
	url, rest, _ := strings.Cut(string(w), digestMark)
	sum, limits, limited := strings.Cut(rest, "&")
	sum = strings.ToLower(sum)
	if !digest.IsSHA256(sum) {
		return store.Source{}, wrongWeights("write "+secret.Address(url)+digestMark+" and the 64 digits that `sha256sum FILE` tells; they, and not the address, stand for the weights in recipes",
			"an address of weights needs the file's SHA-256")
	}
	source := store.Source{URL: url, Expected: digest.Expected{SHA256: sum}}
	if limited {
		var err error
		if source.Limits, err = readLimits(limits); err != nil {
			return store.Source{}, wrongWeights("limits are {size: 4GB, rate: 1kB, stall: 30s}, or "+digestMark+"…&size=4GB&rate=1kB&stall=30s", "%v", err)
		}
	}
	return source, nil
}

// readLimits reads size=4GB&rate=1kB&stall=30s, any of them.
func readLimits(text string) (limits fetch.Limits, err error) {
	for limit := range strings.SplitSeq(text, "&") {
		name, value, _ := strings.Cut(limit, "=")
		var n int64
		switch name {
		case "size":
			n, err = params.ParseBytes(value)
			limits.Most = n
		case "rate":
			n, err = params.ParseBytes(value)
			limits.Rate = n
		case "stall":
			limits.Stall, err = time.ParseDuration(value)
			n = int64(limits.Stall)
		default:
			return limits, fmt.Errorf("unknown limit %q of a download", name)
		}
		if err != nil {
			return limits, fmt.Errorf("the limit %s of a download: %w", name, err)
		}
		if n <= 0 {
			return limits, fmt.Errorf("the limit %s of a download is %s: it must be above 0", name, value)
		}
	}
	return limits, nil
}
