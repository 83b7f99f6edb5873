package dataset

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/tlpipe/tlpipe/internal/dataset/drums"
	"github.com/tlpipe/tlpipe/internal/dataset/emoji"
	"github.com/tlpipe/tlpipe/internal/dataset/mails"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Emoji is the data set built into tlpipe: package emoji. Its further columns
// are object and caption.
type Emoji struct{}

// ObjectColumn is the further column that says what is drawn.
const ObjectColumn = "object"

// List implements Source.
func (Emoji) List(context.Context, pipeline.Files) (Rows, error) {
	set, err := emoji.Open()
	if err != nil {
		return Rows{}, err
	}
	rows := Rows{Extra: []string{ObjectColumn, record.Caption}}
	for _, e := range set.Rows() {
		rows.All = append(rows.All, Row{
			ID: e.ID, Digest: e.Digest, Label: e.Label, Domain: e.Domain, Extra: []string{e.Object, e.Caption},
			At: Location{Path: e.ID, Offset: WholeFile},
		})
	}
	rows.sortByID()
	return rows, nil
}

// Open implements Source.
func (Emoji) Open() (Reader, error) {
	set, err := emoji.Open()
	if err != nil {
		return nil, err
	}
	return emojiReader{set}, nil
}

type emojiReader struct{ set *emoji.Set }

func (r emojiReader) Read(_ context.Context, at Location) ([]byte, error) {
	data, err := r.set.Read(at.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("not in the built-in set: %s", at.Path)
	}
	return data, err
}

func (emojiReader) Close() error { return nil }

// EmojiNames are the names of what the pictures of [Emoji] show, in plain words, a row for each object. The id is the object's, as in the
// further column object; the label is that of its pictures.
type EmojiNames struct{}

// List implements Source.
func (EmojiNames) List(context.Context, pipeline.Files) (Rows, error) {
	all, err := emojiNames()
	if err != nil {
		return Rows{}, err
	}
	rows := Rows{Extra: []string{ObjectColumn}}
	for i, e := range all {
		sum := sha256.Sum256([]byte(e.Caption))
		rows.All = append(rows.All, Row{ID: e.Object, Digest: hex.EncodeToString(sum[:]), Label: e.Label, Extra: []string{e.Object}, At: Location{Path: e.Object, Offset: int64(i), Size: int64(len(e.Caption))}})
	}
	return rows, nil
}

// emojiNames has one row for each object, in the order of their names.
func emojiNames() ([]emoji.Row, error) {
	set, err := emoji.Open()
	if err != nil {
		return nil, err
	}
	rows := set.Rows()
	slices.SortStableFunc(rows, func(a, b emoji.Row) int { return cmp.Compare(a.Object, b.Object) })
	return slices.CompactFunc(rows, func(a, b emoji.Row) bool { return a.Object == b.Object }), nil
}

// Open implements Source.
func (EmojiNames) Open() (Reader, error) {
	all, err := emojiNames()
	return nameReader(all), err
}

type nameReader []emoji.Row

func (r nameReader) Read(_ context.Context, at Location) ([]byte, error) {
	if at.Offset < 0 || at.Offset >= int64(len(r)) {
		return nil, fmt.Errorf("not in the built-in set: %s", at.Path)
	}
	return []byte(r[at.Offset].Caption), nil
}

func (nameReader) Close() error { return nil }

// Mails are those built into tlpipe: package mails.
type Mails struct{}

// List implements Source.
func (Mails) List(context.Context, pipeline.Files) (Rows, error) {
	all, err := mails.All()
	if err != nil {
		return Rows{}, err
	}
	rows := Rows{Extra: []string{PartColumn}}
	parts := partsOf(all)
	for i, m := range all {
		sum := sha256.Sum256([]byte(m.Text))
		rows.All = append(rows.All, Row{ID: m.ID, Digest: hex.EncodeToString(sum[:]), Label: m.Label, Extra: []string{parts[i]}, At: Location{Path: m.ID, Offset: int64(i), Size: int64(len(m.Text))}})
	}
	return rows, nil
}

// PartColumn is the further column of the mails that divides them for measuring what few labels are worth: test, and of the others
// few, 30 of each class, and more.
const PartColumn = "part"

// partsOf draws the parts, by hashes of the ids.
func partsOf(all []mails.Mail) []string {
	const testShare, fewOfClass = 0.6, 30
	parts := make([]string, len(all))
	draw := func(i int) float64 { return Uniform("mails", all[i].ID) }
	classes := map[string][]int{}
	for i, m := range all {
		if parts[i] = "test"; draw(i) >= testShare {
			parts[i] = "more"
			classes[m.Label] = append(classes[m.Label], i)
		}
	}
	for _, rows := range classes {
		slices.SortFunc(rows, func(a, b int) int { return cmp.Compare(draw(a), draw(b)) })
		for _, i := range rows[:min(fewOfClass, len(rows))] {
			parts[i] = "few"
		}
	}
	return parts
}

// Open implements Source.
func (Mails) Open() (Reader, error) {
	all, err := mails.All()
	return mailReader(all), err
}

type mailReader []mails.Mail

func (r mailReader) Read(_ context.Context, at Location) ([]byte, error) {
	if at.Offset < 0 || at.Offset >= int64(len(r)) {
		return nil, fmt.Errorf("not in the built-in set: %s", at.Path)
	}
	return []byte(r[at.Offset].Text), nil
}

func (mailReader) Close() error { return nil }

// Drums are the sounds built into tlpipe: package drums.
type Drums struct{}

// List implements Source.
func (Drums) List(context.Context, pipeline.Files) (Rows, error) {
	all, err := drums.All()
	if err != nil {
		return Rows{}, err
	}
	var rows Rows
	for i, s := range all {
		sum := sha256.Sum256(s.File)
		rows.All = append(rows.All, Row{ID: s.ID, Digest: hex.EncodeToString(sum[:]), Label: s.Label, At: Location{Path: s.ID, Offset: int64(i), Size: int64(len(s.File))}})
	}
	return rows, nil
}

// Open implements Source.
func (Drums) Open() (Reader, error) {
	all, err := drums.All()
	return drumReader(all), err
}

type drumReader []drums.Sound

func (r drumReader) Read(_ context.Context, at Location) ([]byte, error) {
	if at.Offset < 0 || at.Offset >= int64(len(r)) {
		return nil, fmt.Errorf("not in the built-in set: %s", at.Path)
	}
	return r[at.Offset].File, nil
}

func (drumReader) Close() error { return nil }
