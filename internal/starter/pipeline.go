package starter

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
)

// Numbers of training rows from which more of the network is worth training (docs/finetune.md).
const (
	fewRows  = 400    // below: the backbone stays frozen
	someRows = 2000   // below: its top layers
	manyRows = 50_000 // below: progressively; from here on: the whole network
)

// unbalanced is how many times as many rows the largest class has as the smallest, from which classes are weighted.
const unbalanced = 3

// Pipeline writes the pipeline that fits the facts.
func Pipeline(name string, f Facts) (string, error) {
	if f.Rows == 0 {
		return "", fmt.Errorf("there are no pictures in %s, and no texts", f.Folder)
	}
	if f.Texts != nil {
		if err := f.checkTexts(); err != nil {
			return "", err
		}
	} else if len(f.Classes) < 2 {
		return "", fmt.Errorf("%s has %s: a classifier needs pictures of two classes, each in a sub-folder of its own", f.Folder, counted(len(f.Classes), "class folder"))
	}
	w := &writer{}
	largest, smallest := f.balance()
	w.comment("", "Written by `tlpipe init` for %s:", strings.ReplaceAll(f.Folder, "\n", " "))
	w.comment("", "%s in %s, from %d (%s) to %d (%s) in a class%s.", counted(f.Rows, f.what()), counted(len(f.Classes), "class"),
		f.Classes[smallest], safe(smallest), f.Classes[largest], safe(largest), f.about())
	w.comment("", "Each choice has its reason beside it. `tlpipe plan` tells what a run would compute, `tlpipe stages NAME` what else a stage can do.")
	w.line("")
	w.line("name: %s", quoted(name))
	w.line("seed: 42")
	w.line("")
	if f.Texts != nil {
		f.textPipeline(w)
		return w.String(), nil
	}
	w.line("vars:")
	w.comment("  ", "Its weights are part of tlpipe, and it is quick on a processor. `tlpipe models list` shows others.")
	w.line("  backbone: efficientnet_lite0")
	w.line("")
	w.line("stages:")
	f.images(w)
	frozen := f.training() < fewRows
	data := f.augment(w, frozen)
	if frozen {
		w.line("")
		w.comment("  ", "What the pre-trained backbone sees in each picture.")
		w.line("  features:")
		w.line("    uses: extract")
		w.line("    from: %s", data)
		w.line("    with: {backbone: $(backbone)}")
		data = "features"
	}
	f.finetune(w, frozen, data)
	f.scores(w, data, "picture")
	return w.String(), nil
}

// what is the word for a row.
func (f Facts) what() string {
	if f.Texts != nil {
		return "text"
	}
	return "picture"
}

// scores writes the stage that measures the model.
func (f Facts) scores(w *writer, data, what string) {
	w.line("")
	w.comment("  ", "How good it is, on %ss that training never saw, beside baselines that any model has to beat.", what)
	w.line("  scores:")
	w.line("    uses: evaluate")
	w.line("    from: {model: model, data: %s}", data)
	if len(f.Domains) > 0 {
		w.comment("    ", "There are several domains: each is measured by itself, too.")
		w.line("    with: {slices: [domain]}")
	}
}

// domains writes the sources of several domains; further parameters of each begin with a comma.
func (f Facts) domains(w *writer, further string) {
	w.comment("      ", "The sub-folders have the same classes: they are taken for domains (places, cameras, styles, authors).")
	w.line("      source:")
	for _, d := range f.Domains {
		w.line("        - {folder: %s, domain: %s%s}", quoted(filepath.Join(f.Folder, d)), quoted(d), further)
	}
}

// weigh writes weights of classes if they are unbalanced.
func (f Facts) weigh(w *writer, what string) {
	largest, smallest := f.balance()
	if f.ratio() >= unbalanced {
		w.comment("      ", "%s has %.0f times as many %ss as %s: weighted, each class counts the same.", safe(largest), f.ratio(), what, safe(smallest))
		w.line("      class_weights: balanced")
	}
}

// about tells further facts.
func (f Facts) about() string {
	text := ""
	if f.Texts != nil {
		text += f.aboutTexts()
	}
	if f.ShortSide > 0 {
		text += fmt.Sprintf("; the shorter side is %d pixels (median of %d)", f.ShortSide, f.Sampled-f.Broken)
	}
	if f.Broken > 0 {
		text += fmt.Sprintf("; %d of %d looked at cannot be read, and will be rejected", f.Broken, f.Sampled)
	}
	if f.Rejects > 0 {
		text += "; " + counted(f.Rejects, "file") + " left out"
	}
	return text
}

func (f Facts) images(w *writer) {
	w.line("  images:")
	w.line("    uses: preprocess")
	w.line("    with:")
	if len(f.Domains) > 0 {
		f.domains(w, "")
	} else {
		w.line("      source: {folder: %s}", quoted(f.Folder))
	}
	w.comment("      ", "Size and normalisation as the backbone's weights want them.")
	w.line("      for: $(backbone)")
	switch {
	case f.ShortSide > 0 && f.ShortSide <= 64:
		w.comment("      ", "The pictures are small: enlarging them to 224 pixels would take five times as long, and add nothing.")
		w.line("      size: 96")
	case f.ShortSide > 0 && f.ShortSide < 160:
		w.comment("      ", "The pictures are smaller than the 224 pixels that the weights were trained with.")
		w.line("      size: 160")
	}
	if f.Aspect > 1.6 {
		w.comment("      ", "Many pictures are %.1f times as long as wide, or more: cropping the centre would cut off much of them.", f.Aspect)
		w.line("      resize: letterbox")
	}
	f.split(w, "picture")
}

// split writes how rows are split.
func (f Facts) split(w *writer, what string) {
	_, smallest := f.balance()
	hasVal, hasTest := f.Splits[record.Validation] > 0, f.Splits[record.Test] > 0
	switch {
	case len(f.Splits) == 0:
		w.comment("      ", "Most rows to train on; the validation rows choose the epoch, the test rows measure.")
		if f.Classes[smallest] < 7 {
			w.comment("      ", "Class %s has %s: measures of it say little.", safe(smallest), counted(f.Classes[smallest], what))
		}
		w.comment("      ", "`by: digest` assigns %[1]ss by a hash of their bytes: copies stay in one split, and renaming moves nothing. If %[1]ss belong together (one object, patient, place or author), write `by: COLUMN`, or the accuracy will look too high.", what)
		w.line("      split: {train: 0.7, val: 0.15, test: 0.15, by: digest}")
	case hasVal && hasTest:
		w.comment("      ", "The folder has splits of its own.")
		w.line("      split: given")
	case hasTest:
		w.comment("      ", "The folder has no validation split: some of the training rows are taken for that.")
		w.line("      split: {train: 0.85, val: 0.15, within: train}")
	case hasVal:
		w.comment("      ", "The folder has no test split: half of the validation rows are taken for that, since the others choose the epoch.")
		w.line("      split: {val: 0.5, test: 0.5, within: val}")
	default:
		w.comment("      ", "The folder has only a training split.")
		w.line("      split: {train: 0.7, val: 0.15, test: 0.15, within: train}")
	}
}

// augment writes the stage that varies pictures, and returns what the next one takes from.
func (f Facts) augment(w *writer, frozen bool) string {
	n := f.training()
	if n >= manyRows {
		return "images"
	}
	copies := 2
	why := "a few copies of each training picture, another one each epoch"
	if n < fewRows {
		copies, why = 4, "there are few pictures: four copies of each training picture, each a little different"
	}
	w.line("")
	w.comment("  ", "Varied copies: %s.", why)
	w.comment("  ", "Take `flip` out where left and right matter (text, digits, X-rays).")
	w.line("  varied:")
	w.line("    uses: augment")
	w.line("    from: images")
	w.line("    with: {copies: %d, flip: horizontal, rotate: 0.03, zoom: 0.1}", copies)
	_ = frozen
	return "varied"
}

func (f Facts) finetune(w *writer, frozen bool, data string) {
	n := f.training()
	w.line("")
	switch {
	case frozen:
		w.comment("  ", "About %d rows to train on are few: the backbone stays as it is, and logistic regression on its features is hard to beat.", n)
	case n < someRows:
		w.comment("  ", "About %d rows to train on are enough to adapt the top layers of the backbone; those below see edges and textures as anywhere.", n)
	case n < manyRows:
		w.comment("  ", "About %d rows to train on: first the head, then the top layers, then the whole network at a low rate (progressive unfreezing).", n)
	default:
		w.comment("  ", "About %d rows to train on are enough for the whole network. This takes hours on a processor: `strategy: partial` is quicker.", n)
	}
	w.line("  model:")
	w.line("    uses: finetune")
	w.line("    from: %s", data)
	w.line("    with:")
	switch {
	case frozen:
		w.line("      head: logistic")
	default:
		w.line("      backbone: $(backbone)")
		strategy := "full"
		if n < manyRows {
			strategy = "progressive"
		}
		if n < someRows {
			strategy = "partial"
		}
		w.line("      strategy: %s", strategy)
		if n < manyRows {
			w.comment("      ", "One of the varied copies each epoch.")
			w.line("      copies: 2")
		}
	}
	f.weigh(w, "picture")
}

// writer writes lines; comments are wrapped.
type writer struct{ strings.Builder }

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// wide is where comments are wrapped.
const wide = 100

func (w *writer) comment(indent, format string, args ...any) {
	line := indent + "#"
	for _, word := range strings.Fields(fmt.Sprintf(format, args...)) {
		if len(line)+1+len(word) > wide && line != indent+"#" {
			w.line("%s", line)
			line = indent + "#"
		}
		line += " " + word
	}
	w.line("%s", line)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "s") {
		what += "e"
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// quoted is a text as YAML; `$(` would begin a variable.
func quoted(text string) string { return strings.ReplaceAll(strconv.Quote(text), "$(", "$$(") }

// safe is a name as part of a comment.
func safe(name string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, name)
}
