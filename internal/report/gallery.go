package report

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"slices"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// mistakesView shows the most confident mistakes of one model.
type mistakesView struct {
	Name, Full string
	Cards      []mistakeCard
	Method     string // of the heat maps; "" without any
	Without    string // why there are none, if it is to be told
}

// mistakeCard is one mistake. The picture is absent if it was not found.
type mistakeCard struct {
	Picture, Heat    template.URL
	ID               string
	Label, Predicted string
	Confidence       string
	Probability      string
}

// newMistakes finds the pictures of the mistakes among the images that the
// evaluation's data was made of.
func newMistakes(ctx context.Context, run Run, e *evaluation) ([]mistakesView, error) {
	shown := map[string][]record.Mistake{}
	ids := map[string]bool{}
	for _, m := range e.detailed() {
		for _, mistake := range e.mistakes {
			if mistake.Model == m.name {
				shown[m.name] = append(shown[m.name], mistake)
				ids[mistake.ID] = true
			}
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	pictures, err := picturesByID(ctx, run, e.node, ids)
	var out []mistakesView
	mapper := &heatMapper{run: run, left: maxExplainWork}
	for _, m := range e.detailed() {
		view := mistakesView{Name: m.short, Full: m.name}
		maps, method, without, fault := mapper.mistakes(ctx, e, m.name, shown[m.name])
		if err = errors.Join(err, fault); len(maps) > 0 {
			view.Method = string(method)
		}
		view.Without = without
		for _, mistake := range shown[m.name] {
			view.Cards = append(view.Cards, mistakeCard{
				Picture: pictures[mistake.ID], Heat: maps[mistake.ID], ID: mistake.ID, Label: mistake.Label, Predicted: mistake.Predicted,
				Confidence: percent(mistake.Confidence), Probability: percent(mistake.Probability),
			})
		}
		if len(view.Cards) > 0 {
			out = append(out, view)
		}
	}
	return out, err
}

// picturesByID looks for the pictures of some ids of rows that a node was given: in the tables of images that these rows come from, and
// then in those that a model comes from. Two tables may have pictures of one id, and look different.
func picturesByID(ctx context.Context, run Run, n *Node, ids map[string]bool) (map[string]template.URL, error) {
	out := map[string]template.URL{}
	var searched []*Node
	for _, from := range append(run.rowsOf(n), n) {
		for _, ancestor := range slices.Backward(run.ancestors(from)) { // those furthest up have no copies, and are the smallest
			if slices.Contains(searched, ancestor) {
				continue
			}
			searched = append(searched, ancestor)
			missing := map[string]bool{}
			for id := range ids {
				if out[id] == "" {
					missing[id] = true
				}
			}
			images := outputWith(ctx, ancestor, record.Image)
			if images == nil || len(missing) == 0 {
				continue
			}
			found, err := findPictures(ctx, images, missing)
			if err != nil {
				return nil, err
			}
			for id, picture := range found {
				if out[id], err = dataURI(picture); err != nil {
					return nil, err
				}
			}
		}
	}
	return out, nil
}

// rowsOf lists the nodes that a node's rows to measure on come from.
func (r Run) rowsOf(n *Node) (out []*Node) {
	for _, port := range []string{"test", "target", "data"} {
		for _, link := range n.Inputs {
			if from := r.node(link.From); from != nil && link.Port == port {
				out = append(out, from)
			}
		}
	}
	return out
}

// galleryRow shows a training picture and its augmented copies.
type galleryRow struct {
	ID, Label string
	Pictures  []galleryPicture
}

type galleryPicture struct {
	Picture template.URL
	Copy    int32
}

// Bounds of the gallery: rows and copies shown, and bytes read for them.
const (
	maxGalleryRows   = 8
	maxGalleryCopies = 6
	maxGalleryBytes  = 256 << 20
)

// newGallery shows some training pictures, of as many classes as possible,
// with their copies where there are any.
func newGallery(ctx context.Context, r *reading) ([]galleryRow, error) {
	in := trainingImages(ctx, r)
	if in == nil {
		return nil, nil
	}
	var rows []galleryRow
	at := map[string]int{} // of ids
	labels := map[string]bool{}
	want := func(row pictureRow) bool {
		if row.split != "" && row.split != record.Train {
			return false
		}
		i, started := at[row.id]
		if started {
			return len(rows[i].Pictures) < maxGalleryCopies
		}
		return len(rows) < maxGalleryRows && !labels[row.label]
	}
	complete := func() bool {
		return len(rows) == maxGalleryRows && len(rows[maxGalleryRows-1].Pictures) == maxGalleryCopies
	}
	var encoding error
	err := eachPicture(ctx, in, maxGalleryBytes, want, func(row pictureRow) bool {
		i, started := at[row.id]
		if !started {
			i = len(rows)
			at[row.id] = i
			labels[row.label] = true
			rows = append(rows, galleryRow{ID: row.id, Label: row.label})
		}
		uri, err := dataURI(thumbnail(row.picture))
		if err != nil {
			encoding = err
			return false
		}
		rows[i].Pictures = append(rows[i].Pictures, galleryPicture{uri, row.copy})
		return !complete()
	})
	if err := errors.Join(err, encoding); err != nil {
		return nil, fmt.Errorf("training pictures: %w", err)
	}
	return rows, nil
}

// trainingImages finds the images table that the models learnt from: the
// nearest one above an evaluation, or above the last node of a run without.
func trainingImages(ctx context.Context, r *reading) pipeline.Input {
	var from []*Node
	for _, e := range r.evaluations {
		from = append(from, e.node)
	}
	for i := len(r.run.Nodes) - 1; i >= 0; i-- {
		from = append(from, &r.run.Nodes[i])
	}
	for _, n := range from {
		for _, ancestor := range r.run.ancestors(n) {
			if in := outputWith(ctx, ancestor, record.Image); in != nil {
				return in
			}
		}
	}
	return nil
}
