package starter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/digest"
	"github.com/tlpipe/tlpipe/internal/document"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/words"
	"github.com/tlpipe/tlpipe/internal/wordvectors"
)

// Texts are what is known of texts besides [Facts].
type Texts struct {
	Table    bool     // a row of a file each, not a file each
	Mails    bool     // files are mails, whatever their names
	Notes    []string // of who listed them
	Words    int      // the median of the sample
	ManyOf   int      // words that 19 of 20 of the sample do not exceed
	Known    float64  // share of the sample's words that have a built-in vector
	Examined int      // texts of the sample that could be read
	Headers  int      // of those, texts that begin with a mail's header
}

// knownEnough is the share of words with a built-in vector from which texts are taken for English.
const knownEnough = 0.7

// lookAtTexts lists a table of texts, or a folder of texts or mails; Texts is nil if there are none.
func lookAtTexts(ctx context.Context, f Facts, table bool) (Facts, error) {
	if table {
		source := dataset.TextTable{Patterns: []string{f.Folder}}
		rows, err := source.List(ctx, unkept{})
		if err != nil {
			return f, err
		}
		return f.withTexts(ctx, &Texts{Table: true}, []listed{{source, rows}})
	}
	plain, err := f.lookInFolders(ctx, &Texts{})
	if err != nil || plain.Rows > 0 && 5*plain.Texts.Headers < 4*plain.Texts.Examined {
		return plain, err
	}
	mails, err := f.lookInFolders(ctx, &Texts{Mails: true})
	if err == nil && mails.readable() > 0 && mails.readable() >= plain.readable() {
		return mails, nil
	}
	return plain, err
}

// lookInFolders lists texts, or mails whatever their names.
func (f Facts) lookInFolders(ctx context.Context, t *Texts) (Facts, error) {
	var all []listed
	for _, part := range f.parts() {
		source := dataset.Folder{Path: part, Content: dataset.Texts}
		if t.Mails {
			source.Format = document.Mail
		}
		rows, err := source.List(ctx, nil)
		if err != nil {
			return f, err
		}
		all = append(all, listed{source, rows})
	}
	return f.withTexts(ctx, t, all)
}

// readable is about how many rows can be read, as far as the sample tells.
func (f Facts) readable() int { return f.Rows * (f.Sampled - f.Broken) / max(f.Sampled, 1) }

// listed is a source of texts and its rows.
type listed struct {
	source dataset.Source
	rows   dataset.Rows
}

// withTexts counts rows and reads some of them.
func (f Facts) withTexts(ctx context.Context, t *Texts, all []listed) (_ Facts, err error) {
	f.Rows, f.Classes, f.Splits, f.Rejects, f.Sampled, f.Broken, f.Texts = 0, map[string]int{}, map[string]int{}, 0, 0, 0, t
	for _, l := range all {
		f.count(l.rows)
		t.Notes = append(t.Notes, l.rows.Notes...)
	}
	vectors, err := wordvectors.Builtin()
	if err != nil {
		return f, err
	}
	vocabulary := vectors.Vocabulary()
	var lengths []int
	of, known := 0, 0
	for _, l := range all {
		if err := l.sample(ctx, f.Rows, func(text string, ok bool) {
			f.Sampled++
			if !ok {
				f.Broken++
				return
			}
			if document.BeginsAsMail([]byte(text)) {
				t.Headers++
			}
			n := 0
			for word := range words.In(text) {
				n++
				if vocabulary.ID(word) != words.Unknown {
					known++
				}
			}
			of += n
			lengths = append(lengths, n)
		}); err != nil {
			return f, err
		}
	}
	if t.Examined = len(lengths); t.Examined > 0 {
		slices.Sort(lengths)
		t.Words, t.ManyOf = lengths[len(lengths)/2], lengths[len(lengths)*19/20]
		t.Known = float64(known) / float64(max(of, 1))
	}
	return f, ctx.Err()
}

// sample reads some of the rows, of so many that there are in all sources together; ok is false of one that is no text.
func (l listed) sample(ctx context.Context, rows int, take func(text string, ok bool)) (err error) {
	in, err := l.source.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	step := max(rows/mostSampled, 1)
	for i := 0; i < len(l.rows.All) && ctx.Err() == nil; i += step {
		row := l.rows.All[i]
		form := document.Format(row.Form)
		if form == "" {
			form = document.Plain
		}
		text := ""
		data, err := in.Read(ctx, row.At)
		if err == nil {
			text, err = document.Read(data, form)
		}
		take(text, err == nil && strings.TrimSpace(text) != "")
	}
	return nil
}

// unkept computes what is asked of files anew.
type unkept struct{}

// Digest implements pipeline.Files.
func (unkept) Digest(_ context.Context, path string) (string, error) { return digest.File(path) }

// Derived implements pipeline.Files.
func (unkept) Derived(_ context.Context, _, _ string, compute func() ([]byte, error)) ([]byte, error) {
	return compute()
}

// isTable tells whether a file is a table that may have texts, by its name.
func isTable(info os.FileInfo) bool {
	return info.Mode().IsRegular() && slices.Contains(dataset.TextEndings(), strings.ToLower(filepath.Ext(info.Name())))
}

// mostClasses is the number of distinct labels beyond which, where each has few rows, they are no classes.
const mostClasses = 50

// checkTexts tells why no pipeline for classes can be made of the texts.
func (f Facts) checkTexts() error {
	switch {
	case len(f.Classes) == 0 && f.Texts.Table:
		return fmt.Errorf("no column of %s is named label: rename the one with the classes, or write the pipeline yourself, with columns: {label: NAME}: 'tlpipe stages text' tells how", f.Folder)
	case len(f.Classes) < 2 && f.Texts.Table:
		return fmt.Errorf("all labels of %s are equal: a classifier needs texts of two classes", f.Folder)
	case len(f.Classes) < 2:
		return fmt.Errorf("%s has %s: a classifier needs texts of two classes, each in a sub-folder of its own", f.Folder, counted(len(f.Classes), "class folder"))
	case len(f.Classes) > mostClasses && 3*len(f.Classes) > f.Rows:
		return fmt.Errorf("the label of %s has %d different values in %s: those are no classes", f.Folder, len(f.Classes), counted(f.Rows, "row"))
	}
	return nil
}

// textPipeline writes the pipeline for texts.
func (f Facts) textPipeline(w *writer) {
	t := f.Texts
	english := t.Known >= knownEnough
	w.line("stages:")
	w.line("  texts:")
	w.line("    uses: text")
	w.line("    with:")
	as := ""
	if t.Mails {
		w.comment("      ", "The files read as mails, whatever their names: subject and text are taken of each, markup is removed.")
		as = ", as: mail"
	}
	switch {
	case t.Table:
		for _, note := range t.Notes {
			w.comment("      ", "%s", safe(note))
		}
		w.line("      source: {file: %s}", quoted(f.Folder))
	case len(f.Domains) > 0:
		f.domains(w, as)
	default:
		w.line("      source: {folder: %s%s}", quoted(f.Folder), as)
	}
	if english {
		w.comment("      ", "Most words (%.0f%% in a sample) have a vector among those that are built in.", 100*t.Known)
		w.line("      words: builtin")
		if t.ManyOf > 256 {
			w.comment("      ", "One text in 20 has more than %d words: the report tells how much is cut off.", t.ManyOf)
		}
		w.line("      length: %d", min(max((t.ManyOf+31)/32*32, 32), 512))
	}
	f.split(w, "text")
	w.line("")
	methods := "    with: {method: tfidf}"
	if english {
		w.comment("  ", "What each text is for the classifier, in two ways: how often each word of the training rows is in it, weighted by how rare it is (hard to beat with many rows), and the mean of the vectors of its words, which were learned from other texts (better with few).")
		methods = "    matrix:\n      features:\n        tfidf: {method: tfidf}\n        vectors: {method: mean, vectors: builtin}\n    with: $(features)"
	} else {
		w.comment("  ", "What each text is for the classifier: how often each word of the training rows is in it, weighted by how rare it is. It is hard to beat.")
	}
	w.line("  features:")
	w.line("    uses: vectorise")
	w.line("    from: texts")
	w.line("%s", methods)
	w.line("")
	w.line("  model:")
	w.line("    uses: finetune")
	w.line("    from: features")
	w.line("    with:")
	w.line("      head: logistic")
	f.weigh(w, "text")
	f.scores(w, "features", "text")
	w.line("")
	w.comment("", "With a pre-trained encoder in a folder (config.json, model.safetensors, tokenizer.json, as on Hugging Face), in the place of the stages above: docs/text_encoders.md.")
	for _, line := range []string{
		"  texts: {uses: text, with: {source: …, split: …, for: models/all-MiniLM-L6-v2, length: 128}}",
		"  model: {uses: finetune, from: texts, with: {backbone: models/all-MiniLM-L6-v2, strategy: {kind: partial, top: 1}}}",
		"  scores: {uses: evaluate, from: {model: model, data: texts}}",
	} {
		w.line("# %s", line)
	}
}

// aboutTexts tells further facts of texts.
func (f Facts) aboutTexts() string {
	if f.Texts.Examined == 0 {
		return ""
	}
	return fmt.Sprintf("; half of them have more than %d words (a sample of %d)", f.Texts.Words, f.Texts.Examined)
}

// count adds the rows of a listing.
func (f *Facts) count(rows dataset.Rows) {
	f.Rejects += len(rows.Rejects)
	for _, row := range rows.All {
		f.Rows++
		if row.Split != "" {
			f.Splits[row.Split]++
		}
		if row.Label != "" && row.Split != record.Test {
			f.Classes[row.Label]++
		}
	}
}
