package report

import (
	"context"
	"fmt"
	"html/template"
	"image"
	"slices"

	"github.com/tlpipe/tlpipe/internal/explain"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

const (
	// explainedMistakes are how many of each model's worst mistakes have a heat map.
	explainedMistakes = 12
	// maxExplainWork bounds what all heat maps of a page take, in multiply-adds: seconds on one core.
	maxExplainWork = 2e11
)

// heatMapper makes the heat maps of a page, as long as its budget lasts.
type heatMapper struct {
	run  Run
	left float64 // multiply-adds
}

// mistakes makes heat maps of what a model predicted for its worst mistakes, by their ids. without says why there is none, if there is
// none; a fault of an artifact is an error.
func (h *heatMapper) mistakes(ctx context.Context, e *evaluation, model string, of []record.Mistake) (maps map[string]template.URL, method explain.Method, without string, err error) {
	in := h.modelInput(e.node, model)
	if in == nil {
		return nil, "", "", nil
	}
	stored, err := classifier.Read(ctx, in)
	if err != nil {
		return nil, "", "", err
	}
	if stored.Head().Task != record.SingleLabel {
		return nil, "", "", nil
	}
	explainer, err := explain.New(stored, "")
	if err != nil {
		return nil, "", err.Error(), nil
	}
	of = of[:min(len(of), explainedMistakes, int(h.left/float64(max(explainer.Cost(), 1))))]
	if len(of) == 0 {
		return nil, "", "they would take too long", nil
	}
	outputs := map[string]int{}
	for _, m := range of {
		if at := slices.IndexFunc(stored.Head().Names(), func(name string) bool { return cutText(name, maxText) == m.Predicted }); at >= 0 {
			outputs[m.ID] = at
		}
	}
	images := h.imagesOf(ctx, model)
	if images == nil {
		return nil, "", "", nil
	}
	maps = map[string]template.URL{}
	var fault error
	wanted := func(row pictureRow) bool {
		_, asked := outputs[row.id]
		return asked && row.copy == 0 && maps[row.id] == ""
	}
	err = eachPicture(ctx, images, maxPictureBytes, wanted, func(row pictureRow) bool {
		seen, ok := row.picture.(*image.NRGBA)
		if !ok {
			return true
		}
		heat, err := explainer.Picture(seen, outputs[row.id])
		if err != nil {
			without = err.Error()
			return false
		}
		h.left -= float64(explainer.Cost())
		method = heat.Method
		maps[row.id], fault = dataURI(thumbnail(explain.Overlay(seen, heat)))
		return fault == nil && len(maps) < len(outputs)
	})
	if err == nil {
		err = fault
	}
	if err != nil {
		err = fmt.Errorf("heat maps of %s: %w", model, err)
	}
	return maps, method, without, err
}

// modelInput is the artifact of a model that an evaluation took; nil if it is not there.
func (h *heatMapper) modelInput(n *Node, model string) pipeline.Input {
	for _, link := range n.Inputs {
		if from := h.run.node(link.From); from != nil && link.From == model && link.Port == "model" {
			return from.Outputs[link.FromPort]
		}
	}
	return nil
}

// imagesOf is the nearest table of pictures that a model was trained on, or on the features of.
func (h *heatMapper) imagesOf(ctx context.Context, model string) pipeline.Input {
	n := h.run.node(model)
	if n == nil {
		return nil
	}
	for _, ancestor := range h.run.ancestors(n) {
		if in := outputWith(ctx, ancestor, record.Image); in != nil {
			return in
		}
	}
	return nil
}
