package backbone

import (
	"regexp"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/onnx"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/safetensors"
	"github.com/tlpipe/tlpipe/internal/weightfile"
)

// notedLicence is the licence that a user's file of weights says it has, as an SPDX expression; "" if it says none. Models and weights
// that this program wrote as safetensors or ONNX do say it, and so do other safetensors files with the key license.
func (c *ResolvedWeights) notedLicence() string {
	if c.path == "" {
		return ""
	}
	notes := map[string]string{}
	if b, err := c.backbone(); err == nil && b.Imported {
		m, closing, err := onnx.Open(c.path, onnx.Limits())
		if err != nil {
			return ""
		}
		for _, e := range m.Metadata {
			notes[e.Key] = strings.Clone(e.Value)
		}
		if closing() != nil {
			return ""
		}
		return licenceIn(notes)
	}
	f, err := safetensors.Open(c.path, weightfile.Budget())
	if err != nil {
		return "" // another format, which has no place for it
	}
	notes = f.Metadata()
	if f.Close() != nil {
		return ""
	}
	return licenceIn(notes)
}

// licenceIn reads what a file's notes say of licences.
func licenceIn(notes map[string]string) string {
	for _, key := range []string{record.DescriptionKey, "description"} {
		if d, err := record.ParseDescription(notes[key]); err == nil {
			return expression(d.LicencesInWords())
		}
	}
	for _, key := range []string{"licences", "licence", "license"} {
		if said := expression(notes[key]); said != "" {
			return said
		}
	}
	return ""
}

// identifier is the name of a licence in an SPDX expression.
var identifier = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+:-]{0,63}$`)

// expression joins a list of licences to an SPDX expression: all of them hold. What is no name of a licence counts as not known.
func expression(list string) string {
	var all []string
	for name := range strings.SplitSeq(strings.ReplaceAll(list, record.AllLicences, ","), ",") {
		switch name = strings.TrimSpace(name); {
		case name == "":
			continue
		case !identifier.MatchString(name):
			name = record.UnknownLicence
		}
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	if len(all) == 1 && all[0] == record.UnknownLicence {
		return ""
	}
	return strings.Join(all, record.AllLicences)
}
